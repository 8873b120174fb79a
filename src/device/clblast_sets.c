/* Sets of parameters for CLBlast's two product kernels. Its own database knows some devices; for others a
 * measured set may be several times faster. A set holds for the whole device: CLBlast keeps one at a time, and
 * compiles anew when it changes.
 *
 * Xgemm (large products) computes MWG x NWG of the result in a work-group of MDIMC x NDIMC, KWG deep at a time;
 * XgemmDirect (small ones) WGD x WGD in MDIMCD x NDIMCD. What CLBlast requires of a row:
 *     MWG a multiple of MDIMC VWM and of MDIMA VWM, NWG of NDIMC VWN and of NDIMB VWN,
 *     KWG a multiple of KWI, of MDIMC NDIMC / MDIMA and of MDIMC NDIMC / NDIMB, and likewise for the other. */
#include "device/opencl.h"

#include "base/error.h"

#include <clblast_c.h>

static const char *const xgemm_names[] = {"GEMMK", "KREG",  "KWG", "KWI", "MDIMA", "MDIMC", "MWG", "NDIMB",
                                          "NDIMC", "NWG",   "SA",  "SB",  "STRM",  "STRN",  "VWM", "VWN"};
static const char *const direct_names[] = {"KWID",   "MDIMAD", "MDIMCD", "NDIMBD", "NDIMCD",
                                           "PADA",   "PADB",   "VWMD",   "VWND",   "WGD"};
enum { XGEMM = sizeof xgemm_names / sizeof *xgemm_names, DIRECT = sizeof direct_names / sizeof *direct_names };

/* clang-format off */
static const struct {
    const char *name;
    size_t xgemm[XGEMM], direct[DIRECT];
} sets[] = {
    /*           GEMMK KREG KWG KWI MDIMA MDIMC MWG NDIMB NDIMC NWG SA SB STRM STRN VWM VWN
                 KWID MDIMAD MDIMCD NDIMBD NDIMCD PADA PADB VWMD VWND WGD */
    {"default", {0}, {0}},
    {"32x32",   {0, 1, 16, 2,  8,  8,  32,  8,  8,  32, 1, 1, 0, 0, 2, 2}, {2,  8,  8,  8,  8, 1, 1, 1, 1,  8}},
    {"32x32 registers",
                {0, 1, 16, 2,  8,  8,  32,  8,  8,  32, 0, 0, 0, 0, 4, 4}, {2,  8,  8,  8,  8, 1, 1, 2, 2, 16}},
    {"64x64",   {0, 1, 32, 2, 16, 16,  64, 16, 16,  64, 1, 1, 0, 0, 4, 4}, {2, 16, 16, 16, 16, 1, 1, 2, 2, 32}},
    {"64x64 wide",
                {0, 1, 16, 2,  8,  8,  64,  8,  8,  64, 1, 1, 0, 0, 4, 4}, {2,  8,  8,  8,  8, 1, 1, 4, 4, 32}},
    {"64x64 registers",
                {0, 1, 16, 2,  8,  8,  64,  8,  8,  64, 0, 0, 0, 0, 8, 8}, {8,  8,  8,  8,  8, 0, 0, 4, 4, 32}},
    {"128x64",  {0, 1, 32, 2, 16, 16, 128,  8,  8,  64, 1, 1, 0, 0, 4, 4}, {2, 16, 16, 16, 16, 1, 1, 4, 4, 64}},
    {"128x128", {0, 1, 16, 2, 16, 16, 128, 16, 16, 128, 1, 1, 0, 0, 4, 4}, {8, 16, 16, 16, 16, 1, 1, 2, 2, 64}},
    {"128x128 strided",
                {0, 1, 16, 2, 16, 16, 128, 16, 16, 128, 1, 1, 1, 1, 2, 2}, {2, 16,  8, 16,  8, 1, 1, 2, 2, 32}},
};
/* clang-format on */
enum { COUNT = sizeof sets / sizeof *sets };

const char *fcl_clblast_set_name(int index)
{
    return index >= 0 && index < COUNT ? sets[index].name : NULL;
}

static int override(fcl_device *device, const char *kernel, int count, const char *const *names,
                    const size_t *values)
{
    CLBlastStatusCode code = CLBlastOverrideParameters(device->id, kernel, CLBlastPrecisionSingle,
                                                       (size_t)count, (const char **)names, values);
    if (code == CLBlastSuccess)
        return FCL_OK;
    return fcl_opencl_fail(device, (cl_int)code, "setting the parameters of CLBlast's %s", kernel);
}

int fcl_clblast_set_apply(fcl_device *device)
{
    int set = device->tuned.clblast_set;
    if (set > 0 && !device->clblast_applied) {
        FCL_TRY(override(device, "Xgemm", XGEMM, xgemm_names, sets[set].xgemm));
        FCL_TRY(override(device, "XgemmDirect", DIRECT, direct_names, sets[set].direct));
    }
    device->clblast_applied = true;
    return FCL_OK;
}
