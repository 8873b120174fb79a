#include "eval/ticks.h"

#include <math.h>

int fcl_ticks_linear(double low, double high, int aim, double ticks[FCL_TICKS_MOST])
{
    double rough = (high - low) / aim;
    double power = pow(10, floor(log10(rough))), digit = rough / power;
    double step = power * (digit < 1.5 ? 1 : digit < 3.5 ? 2 : digit < 7.5 ? 5 : 10);
    double first = ceil(low / step - 1e-9), last = floor(high / step + 1e-9);
    int count = 0;
    for (double k = first; k <= last && count < FCL_TICKS_MOST; k++)
        ticks[count++] = k == 0 ? 0 : k * step;
    return count;
}

int fcl_ticks_log(double low, double high, int aim, double ticks[FCL_TICKS_MOST])
{
    if (high / low < 6)
        return fcl_ticks_linear(low, high, aim, ticks);
    double decades = log10(high / low);
    int most = 3 * aim, stride = 1 + (int)(decades / most); /* powers of ten from one tick to the next */
    static const double digits[] = {1, 2, 5};
    int parts = 3 * decades > most ? 1 : 3, count = 0;
    for (int exponent = (int)floor(log10(low)); exponent <= log10(high); exponent += stride) {
        for (int i = 0; i < parts; i++) {
            double tick = digits[i] * pow(10, exponent);
            if (tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9) && count < FCL_TICKS_MOST)
                ticks[count++] = tick;
        }
    }
    return count;
}
