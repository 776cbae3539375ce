/* A CUDA driver without a card, for machines that have none: what is asked of it is done, but nothing is computed.
 *
 * Built as libcuda.so it stands in for NVIDIA's. Memory is the machine's own and holds zeros; kernels come as PTX that
 * the real NVRTC has compiled, and a launch is only counted. So a program goes its whole way, with every kernel that
 * it would launch on the card compiled, and none run. Read from the environment:
 *
 *   CUDA_STAND_IN_ARCH   the compute capability that it says it has, 90 if there is none
 *   CUDA_STAND_IN_LOG    a file that gets a line for each kernel at the end, with tabs between: its number, launches,
 *                        threads of them all, `tensor` where its PTX uses the matrix units, and its name
 *   CUDA_STAND_IN_PTX    a folder that gets the PTX of each kernel, by its number in that file
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int Status;
enum { SUCCESS = 0, OUT_OF_MEMORY = 2 };

/* The attributes of CUdevice_attribute that are asked for, as a card of the H100's kind has them. */
static int attribute(int which) {
    const char *text = getenv("CUDA_STAND_IN_ARCH");
    int arch = text ? atoi(text) : 90;
    switch (which) {
    case 1: return 1024;                             /* threads of a block */
    case 2: case 3: return 1024;                     /* a block's x and y */
    case 4: return 64;                               /* and z */
    case 5: return 2147483647;                       /* a grid's x */
    case 6: case 7: return 65535;                    /* and y and z */
    case 10: return 32;                              /* threads of a warp */
    case 16: return 132;                             /* multiprocessors */
    case 75: return arch / 10;                       /* compute capability */
    case 76: return arch % 10;
    case 97: return arch >= 90 ? 232448 : arch == 80 ? 166912 : 101376; /* shared memory of a block, if it asks */
    case 115: return 1;                              /* memory pools */
    default: return 0;
    }
}

struct module {
    int number, tensor;
};

struct function {
    struct module *module;
    char name[256];
    unsigned long long launches, threads;
    struct function *next;
};

static struct function *functions;
static int modules, streams, events;

__attribute__((destructor)) static void tell(void) {
    const char *path = getenv("CUDA_STAND_IN_LOG");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
    for (struct function *f = functions; f; f = f->next)
        fprintf(file, "%d\t%llu\t%llu\t%s\t%s\n", f->module->number, f->launches, f->threads,
                f->module->tensor ? "tensor" : "-", f->name);
    fclose(file);
}

Status cuInit(unsigned flags) { (void)flags; return SUCCESS; }
Status cuDeviceGet(int *device, int index) { *device = index; return SUCCESS; }
Status cuDeviceGetName(char *name, int length, int device) {
    (void)device;
    snprintf(name, (size_t)length, "no card");
    return SUCCESS;
}
Status cuDeviceGetAttribute(int *value, int which, int device) {
    (void)device;
    *value = attribute(which);
    return SUCCESS;
}
Status cuDeviceTotalMem_v2(size_t *bytes, int device) { (void)device; *bytes = (size_t)80 << 30; return SUCCESS; }
Status cuDevicePrimaryCtxRetain(void **context, int device) { (void)device; *context = &modules; return SUCCESS; }
Status cuCtxSetCurrent(void *context) { (void)context; return SUCCESS; }
Status cuCtxGetStreamPriorityRange(int *least, int *greatest) { *least = 0; *greatest = -5; return SUCCESS; }
Status cuGetErrorName(Status status, const char **text) { (void)status; *text = "CUDA_ERROR"; return SUCCESS; }
Status cuGetErrorString(Status status, const char **text) { (void)status; *text = "no card is here"; return SUCCESS; }

Status cuStreamCreate(void **stream, unsigned flags) { (void)flags; *stream = (void *)(intptr_t)++streams; return SUCCESS; }
Status cuStreamCreateWithPriority(void **stream, unsigned flags, int priority) {
    (void)priority;
    return cuStreamCreate(stream, flags);
}
Status cuStreamWaitEvent(void *stream, void *event, unsigned flags) { (void)stream; (void)event; (void)flags; return SUCCESS; }
Status cuEventCreate(void **event, unsigned flags) { (void)flags; *event = (void *)(intptr_t)++events; return SUCCESS; }
Status cuEventDestroy_v2(void *event) { (void)event; return SUCCESS; }
Status cuEventRecord(void *event, void *stream) { (void)event; (void)stream; return SUCCESS; }
Status cuEventSynchronize(void *event) { (void)event; return SUCCESS; }

/* As a card aligns it; pages that nobody writes cost nothing. */
Status cuMemAlloc_v2(uint64_t *address, size_t bytes) {
    char *block = calloc(1, bytes + 1024);
    if (!block) return OUT_OF_MEMORY;
    char *aligned = (char *)(((uintptr_t)block + 1023) & ~(uintptr_t)511);
    ((void **)aligned)[-1] = block;
    *address = (uint64_t)aligned;
    return SUCCESS;
}
Status cuMemAllocAsync(uint64_t *address, size_t bytes, void *stream) { (void)stream; return cuMemAlloc_v2(address, bytes); }
Status cuMemFree_v2(uint64_t address) { free(((void **)address)[-1]); return SUCCESS; }
Status cuMemFreeAsync(uint64_t address, void *stream) { (void)stream; return cuMemFree_v2(address); }
Status cuMemAllocHost_v2(void **address, size_t bytes) { return (*address = calloc(1, bytes)) ? SUCCESS : OUT_OF_MEMORY; }
Status cuMemFreeHost(void *address) { free(address); return SUCCESS; }
Status cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, void *stream) {
    (void)stream;
    memcpy(to, (void *)from, bytes);
    return SUCCESS;
}
Status cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, void *stream) {
    (void)stream;
    memcpy((void *)to, from, bytes);
    return SUCCESS;
}

/* CUDA_MEMCPY2D. */
struct side { size_t x, y; unsigned kind; const char *host; uint64_t device; void *array; size_t pitch; };
struct copy { struct side from, to; size_t width, height; };
Status cuMemcpy2DAsync_v2(const struct copy *copy, void *stream) {
    (void)stream;
    const struct side *a = &copy->from, *b = &copy->to;
    const char *from = (a->kind == 1 ? a->host : (char *)a->device) + a->y * a->pitch + a->x;
    char *to = (b->kind == 1 ? (char *)b->host : (char *)b->device) + b->y * b->pitch + b->x;
    for (size_t row = 0; row < copy->height; row++) memcpy(to + row * b->pitch, from + row * a->pitch, copy->width);
    return SUCCESS;
}

Status cuModuleLoadData(void **module, const void *image) {
    struct module *it = calloc(1, sizeof *it);
    it->number = ++modules;
    it->tensor = strstr(image, "mma.sync") || strstr(image, "wgmma.") || strstr(image, "wmma.");
    const char *folder = getenv("CUDA_STAND_IN_PTX");
    if (folder) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%d.ptx", folder, it->number);
        FILE *file = fopen(path, "w");
        if (file) {
            fputs(image, file);
            fclose(file);
        }
    }
    *module = it;
    return SUCCESS;
}
Status cuModuleGetFunction(void **function, void *module, const char *name) {
    struct function *it = calloc(1, sizeof *it);
    it->module = module;
    snprintf(it->name, sizeof it->name, "%s", name);
    struct function **end = &functions;
    while (*end) end = &(*end)->next;
    *function = *end = it;
    return SUCCESS;
}
Status cuFuncSetAttribute(void *function, int which, int value) { (void)function; (void)which; (void)value; return SUCCESS; }
Status cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                      unsigned shared, void *stream, void **parameters, void **extra) {
    (void)shared; (void)stream; (void)parameters; (void)extra;
    struct function *it = function;
    it->launches++;
    it->threads += (unsigned long long)gx * gy * gz * bx * by * bz;
    return SUCCESS;
}
