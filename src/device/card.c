/* Where a card is plugged in, as its driver tells it: one of three ways. */
#include "device/opencl.h"

#include <stdio.h>

/* Not in every cl_ext.h: cl_khr_pci_bus_info, NVIDIA's older form of it, and AMD's. */
#ifndef CL_DEVICE_PCI_BUS_INFO_KHR
#define CL_DEVICE_PCI_BUS_INFO_KHR 0x410F
#endif
enum { PCI_BUS_NV = 0x4008, PCI_SLOT_NV = 0x4009, PCI_DOMAIN_NV = 0x400A, TOPOLOGY_AMD = 0x4037 };

typedef struct address {
    cl_uint domain, bus, device, function;
} address;

static bool find_khr(cl_device_id id, address *found)
{
    return clGetDeviceInfo(id, CL_DEVICE_PCI_BUS_INFO_KHR, sizeof *found, found, NULL) == CL_SUCCESS;
}

static bool find_nvidia(cl_device_id id, address *found)
{
    cl_uint bus, slot, domain = 0;
    if (clGetDeviceInfo(id, PCI_BUS_NV, sizeof bus, &bus, NULL) != CL_SUCCESS ||
        clGetDeviceInfo(id, PCI_SLOT_NV, sizeof slot, &slot, NULL) != CL_SUCCESS)
        return false;
    clGetDeviceInfo(id, PCI_DOMAIN_NV, sizeof domain, &domain, NULL);
    *found = (address){domain, bus, slot >> 3, slot & 7};
    return true;
}

/* cl_device_topology_amd: a type, 1 for PCIe, and 20 bytes of which the last three are the address. */
static bool find_amd(cl_device_id id, address *found)
{
    struct {
        cl_uint type;
        cl_uchar unused[17], bus, device, function;
    } topology = {0};
    if (clGetDeviceInfo(id, TOPOLOGY_AMD, sizeof topology, &topology, NULL) != CL_SUCCESS ||
        topology.type != 1)
        return false;
    *found = (address){0, topology.bus, topology.device, topology.function};
    return true;
}

/* The first address of all is the host's bridge: who answers with it does not know. */
void fcl_card_find(cl_device_id id, char *text, size_t size)
{
    static bool (*const ways[])(cl_device_id id, address * found) = {find_khr, find_nvidia, find_amd};
    text[0] = 0;
    for (size_t i = 0; i < sizeof ways / sizeof *ways && !text[0]; i++) {
        address a = {0};
        if (ways[i](id, &a) && (a.domain || a.bus || a.device || a.function))
            snprintf(text, size, "%x:%x:%x.%x", a.domain, a.bus, a.device, a.function);
    }
}
