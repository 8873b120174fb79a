#!/bin/sh
# The program behind tools/emoji.sh, $2: one picture of colour an emoji, in a folder for each group; flowcl reads them.
case $2 in /*) emoji=$2 ;; *) emoji=$PWD/$2 ;; esac
. "$(dirname "$0")/lib.sh"
ls /usr/share/fonts/truetype/noto/NotoColorEmoji.ttf >/dev/null 2>&1 || exit 77 # fonts-noto-color-emoji is not there

cat >list.txt <<'END'
# group: Smileys & Emotion
# subgroup: face-smiling
1F600                  ; fully-qualified     # 😀 E1.0 grinning face
263A                   ; unqualified         # ☺ E0.6 smiling face
# group: People & Body
1F44B                  ; fully-qualified     # 👋 E0.6 waving hand
1F44B 1F3FB            ; fully-qualified     # 👋🏻 E1.0 waving hand: light skin tone
# group: Symbols
0023 FE0F 20E3         ; fully-qualified     # #️⃣ E0.6 keycap: #
1FFFD                  ; fully-qualified     # 🿽 E99.0 nothing that there is
END
"$emoji" list.txt drawn 32 plain >out || fail "the emoji were not drawn"
printed "3 pictures of 32 x 32 in drawn; the font lacks 1"
[ "$(cd drawn && echo */*)" = "people-body/1f44b-waving-hand.png smileys-emotion/1f600-grinning-face.png \
symbols/0023-fe0f-20e3-keycap.png" ] || fail "other files: $(cd drawn && echo */*)"
python3 - <<'END' || fail "the face is none"
import png
rows, channels = png.read("drawn/smileys-emotion/1f600-grinning-face.png")
assert channels == 4 and len(rows) == 32 and len(rows[0]) == 128
red, green, blue, opacity = rows[10][4 * 16:4 * 16 + 4]
assert rows[0][3] == 0 and opacity == 255 and red > 200 and green > 150 and blue < 120, (red, green, blue)
assert sum(row[i] > 127 for row in rows for i in range(3, 128, 4)) > 500, "it is too small"
END
"$emoji" list.txt all 16 all >out || fail "the emoji were not drawn"
printed "4 pictures of 16 x 16 in all; the font lacks 1"
expect 0 train drawn --labels --background black --model mlp --width 8 --depth 1 --batch 3 --steps 1 --samples-every off --out run
says "3 samples of (3, 32, 32)" "3 that can be seen through over black" "3 classes, people-body, smileys-emotion, symbols"
