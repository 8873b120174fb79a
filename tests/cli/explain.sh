#!/bin/sh
# A configuration in formulas, and that what training refuses is refused here.
. "$(dirname "$0")/lib.sh"

expect 0 explain
printed "path        linear" "x_t = alpha x1 + sigma x0" "alpha  = t" "sigma' = -1" "target = alpha' x1 + sigma' x0" \
    "t = u, u uniform in (0, 1), independent" "w = 1" "loss        squared" "k1 = v(x, t)" "x <- x + h (k1)" \
    "steps       100 from t = 0 to 1, grid uniform" "evaluations 100 of the network"
expect 0 explain --path "alpha=t^2, sigma=1-t^2" --prediction x1 --time "logit-normal(0.5, 1)" --time-draw antithetic \
    --time-shift 3 --weight "adaptive(0.75, 0.1)" --loss "huber(2)" --solver rk4 --sampling-steps 10
printed "alpha' = 2*t" "target = x1" "t = sigmoid(0.5 + probit(u))" "in pairs u, 1 - u" "n = 1 - t becomes 3 n/(1 + 2 n)" \
    "w = 1/(l + 0.1)^0.75" "huber(delta = 2)" "k2 = v(x + h (1/2 k1), t + 1/2 h)" \
    "x <- x + h (1/6 k1 + 1/3 k2 + 1/3 k3 + 1/6 k4)" "evaluations 40 of the network"
expect 0 explain --path "bridge(0.5)" --coupling ot --solver dopri5 --rtol 1e-3
printed "tube   = 0.5*sqrt(t*(1 - t))" "coupling    ot" "+ tube' z" "19372/6561 k1" "rtol = 0.001" "then 6 for each step"
for solver in euler rk4 ab3 dopri8 stochastic-heun; do
    expect 0 explain --path vp --prediction eps --weight min-snr --time mode --solver $solver
    narrow
done
expect 0 explain --path vp --prediction eps --weight min-snr --time beta --solver euler-maruyama --sde-w "sigma^2"
printed "exp(" "target = x0" "the quantile at u" "b = v + w score" "w = sigma^2"
expect 0 explain --solver ab3
printed "the last 3 slopes" "evaluations 104 of the network"

printf 'path: cosine\ncoupling: ot\n' >run.yaml
expect 0 explain run.yaml --solver heun2
printed "sigma  = cos(pi*t/2)" "coupling    ot" "evaluations 200 of the network"

refused 2 "without a tube" explain --sigma 0.1 --prediction x1
refused 2 "only from normal noise" explain --path vp --source moons
refused 2 "did you mean \"cosine\"?" explain --path cosin
refused 1 "nothing.yaml" explain nothing.yaml
refused 2 "no error estimate" explain --rtol 1e-3
refused 2 "\"cosine()\" is not usable" explain --path "cosine()"
refused 2 "time-frequency 7 has no use without time-features" explain --time-frequency 7
refused 2 "residual has no use with depth 1" explain --residual --depth 1

# A formula may be one letter or a number; a longer name alone would hide misspelt names.
expect 0 explain --weight t
printed "w = t"
expect 0 explain --weight 2 --time 1-u
printed "w = 2" "t = 1 - u"
expect 0 explain --weight "(sigma)"
printed "w = sigma"
refused 2 "or a formula (a name alone in parentheses)" explain --weight sigma
refused 2 "expected one of squared, huber, or one with numbers in parentheses" explain --loss absolute

# Where the network is asked; one of the time when that was less.
expect 0 explain --prediction eps
printed "x = sigma x0, unasked, up to t = 0.001" "no nearer to the ends than t = 0.001 and 1"
expect 0 explain --prediction x1
printed "from t = 0.99 on, with alpha x1^ + sigma x0^" "no nearer to the ends than t = 0 and 0.99"
expect 0 explain "$(cd "$OLDPWD" && cd "$(dirname "$0")" && pwd)/old_eps.safetensors"
printed "unasked, up to t = 0.01"
