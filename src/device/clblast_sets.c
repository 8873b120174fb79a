/* Sets of parameters for CLBlast's two product kernels, and which of the two a product has. Its own database knows some
 * devices; for others a measured set may be several times faster. A set holds for the whole device: CLBlast keeps one
 * at a time, and compiles anew when it changes.
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

/* --- from which size on a product is Xgemm's --- */

/* The fewest n of a product n x n x n that CLBlast gives to Xgemm: m n k decides. One with a transposed operand needs a
 * temporary there, and XgemmDirect none. */
static int find_switch(fcl_device *device, int *from)
{
    size_t least = 1, most = FCL_CLBLAST_SWITCH_MOST;
    while (least < most) {
        size_t n = (least + most) / 2, bytes = 0;
        CLBlastStatusCode code =
            CLBlastSGemmTempBufferSize(CLBlastLayoutColMajor, CLBlastTransposeYes, CLBlastTransposeNo, n, n, n, 0,
                                       n, 0, n, 0, n, &device->queue, &bytes);
        if (code != CLBlastSuccess)
            return fcl_opencl_fail(device, (cl_int)code, "asking for CLBlast's temporary");
        *(bytes ? &most : &least) = bytes ? n : n + 1;
    }
    *from = (int)least;
    return FCL_OK;
}

/* 10 times the major number and the minor one; 0 where the device has none. */
static int compute_capability(const fcl_device *device)
{
    enum { MAJOR_NV = 0x4000, MINOR_NV = 0x4001 };
    cl_uint major = 0, minor = 0;
    if (clGetDeviceInfo(device->id, MAJOR_NV, sizeof major, &major, NULL) != CL_SUCCESS ||
        clGetDeviceInfo(device->id, MINOR_NV, sizeof minor, &minor, NULL) != CL_SUCCESS)
        return 0;
    return (int)(10 * major + minor);
}

int fcl_clblast_switch_rule(fcl_device_type type, int capability, int own)
{
    enum { KNOWN = 80, UNKNOWN_FROM = 512 };
    bool known = capability > 0 && capability <= KNOWN;
    return type == FCL_DEVICE_GPU && !known && own > UNKNOWN_FROM ? UNKNOWN_FROM : own;
}

static int apply_switch(fcl_device *device)
{
    static const char *const name = "XGEMM_MIN_INDIRECT_SIZE";
    int own, from = device->tuned.clblast_switch;
    FCL_TRY(find_switch(device, &own));
    if (!from)
        from = fcl_clblast_switch_rule(device->info.type, compute_capability(device), own);
    return from == own ? FCL_OK : override(device, "GemmRoutine", 1, &name, &(size_t){(size_t)from});
}

int fcl_clblast_set_apply(fcl_device *device)
{
    int set = device->tuned.clblast_set, direct = device->tuned.clblast_direct;
    if (device->clblast_applied)
        return FCL_OK;
    FCL_TRY(apply_switch(device));
    if (set > 0)
        FCL_TRY(override(device, "Xgemm", XGEMM, xgemm_names, sets[set].xgemm));
    if (direct > 0)
        FCL_TRY(override(device, "XgemmDirect", DIRECT, direct_names, sets[direct].direct));
    device->clblast_applied = true;
    return FCL_OK;
}

int fcl_clblast_switch_used(fcl_device *device, int *from)
{
    FCL_TRY(fcl_clblast_set_apply(device));
    return find_switch(device, from);
}
