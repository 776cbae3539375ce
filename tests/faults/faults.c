/* Faults for tests: preloaded into a process, it makes system calls fail, kills at a chosen one, and moves clocks.
 *
 * The product knows nothing of it. Read from the environment:
 *
 *   FAULTS_ROLES   which processes: names that an argument must equal (`runner`, `shim`, `kernel`) or the program
 *                  is called (`git`), with commas between; all others only pass the library on
 *   FAULTS_CALLS   which calls: open (for writing), write, sync, rename, link, unlink, mkdir, truncate, lock, spawn,
 *                  with commas between, or all
 *   FAULTS_PATH    only calls on a path that holds this text; FAULTS_NOT: and none of these, with commas between
 *   FAULTS_AT      the first matching call that is hit, counted from 1; without it none is
 *   FAULTS_FOR     how many are hit; without it all that follow
 *   FAULTS_DO      kill (before the call), tear (kill after half of a write), short (write half), or the name of an
 *                  error: ENOSPC, EDQUOT, EROFS, EIO, ESTALE, ENOLCK, EACCES
 *   FAULTS_WHILE   hits only while this file is there
 *   FAULTS_COUNT   a file of 8 bytes that counts matching calls, over all processes that share it
 *   FAULTS_TRACE   a file that gets a line for each matching call: `<number> <call> <path>`
 *   FAULTS_CLOCK   a file of three 64-bit numbers: nanoseconds that are added to CLOCK_REALTIME, CLOCK_MONOTONIC
 *                  and CLOCK_BOOTTIME, at once when the file changes
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static int ready, active;
static const char *calls, *path_part, *path_not, *action, *while_there, *trace;
static uint64_t from, hits = UINT64_MAX, own;
static uint64_t *counter = &own;
static volatile int64_t *shift;

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* Whether `list`, with commas between its parts, holds `word`. */
static int listed(const char *list, const char *word, size_t length) {
    while (list && *list) {
        size_t part = strcspn(list, ",");
        if (part == length && !memcmp(list, word, length)) return 1;
        list += part + (list[part] == ',');
    }
    return 0;
}

static void *shared(const char *name, size_t size) {
    const char *path = getenv(name);
    if (!path) return NULL;
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || syscall(SYS_ftruncate, fd, size)) return NULL;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    return memory == MAP_FAILED ? NULL : memory;
}

static int has_role(const char *roles) {
    static char arguments[8192];
    int fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : syscall(SYS_read, fd, arguments, sizeof arguments - 1);
    if (fd >= 0) syscall(SYS_close, fd);
    for (char *at = arguments; at < arguments + length; at += strlen(at) + 1) {
        const char *word = at, *slash = strrchr(at, '/');
        if (at == arguments && slash) word = slash + 1;
        if (listed(roles, word, strlen(word))) return 1;
    }
    return 0;
}

__attribute__((constructor)) static void begin(void) {
    const char *roles = getenv("FAULTS_ROLES");
    active = roles && has_role(roles);
    if (active) {
        calls = getenv("FAULTS_CALLS");
        path_part = getenv("FAULTS_PATH");
        path_not = getenv("FAULTS_NOT");
        action = getenv("FAULTS_DO");
        while_there = getenv("FAULTS_WHILE");
        trace = getenv("FAULTS_TRACE");
        if (getenv("FAULTS_AT")) from = strtoull(getenv("FAULTS_AT"), NULL, 10);
        if (getenv("FAULTS_FOR")) hits = strtoull(getenv("FAULTS_FOR"), NULL, 10);
        uint64_t *file = shared("FAULTS_COUNT", sizeof *counter);
        if (file) counter = file;
        shift = shared("FAULTS_CLOCK", 3 * sizeof *shift);
    }
    ready = 1;
}

static int error_number(const char *name) {
    static const struct { const char *name; int number; } known[] = {
        {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EROFS", EROFS}, {"EIO", EIO},
        {"ESTALE", ESTALE}, {"ENOLCK", ENOLCK}, {"EACCES", EACCES},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(name, known[i].name)) return known[i].number;
    return EIO;
}

static void die(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

/* What a call on `path` is to suffer: 0 nothing, -1 half of it (or a death in its middle), or an error's number. */
static int strike(const char *call, const char *path) {
    if (!ready || !active || !calls || !path) return 0;
    if (strcmp(calls, "all") && !listed(calls, call, strlen(call))) return 0;
    if (path_part && !strstr(path, path_part)) return 0;
    for (const char *list = path_not; list && *list;) {
        char word[256];
        size_t length = strcspn(list, ",");
        snprintf(word, sizeof word, "%.*s", (int)length, list);
        if (strstr(path, word)) return 0;
        list += length + (list[length] == ',');
    }
    uint64_t number = __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST);
    if (trace) {
        char line[PATH_MAX + 64];
        int length = snprintf(line, sizeof line, "%llu %s %s\n", (unsigned long long)number, call, path);
        int fd = syscall(SYS_openat, AT_FDCWD, trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (fd >= 0) {
            syscall(SYS_write, fd, line, length);
            syscall(SYS_close, fd);
        }
    }
    if (!from || !action || number < from || number - from >= hits) return 0;
    if (while_there && syscall(SYS_faccessat, AT_FDCWD, while_there, F_OK)) return 0;
    if (!strcmp(action, "kill")) die();
    if (!strcmp(action, "tear") || !strcmp(action, "short")) return strcmp(call, "write") ? 0 : -1;
    return error_number(action);
}

/* The path of a file that is open; NULL where it is none of a file system. */
static const char *path_of(int fd, char *buffer) {
    struct stat of;
    if (!active || syscall(SYS_fstat, fd, &of) || !S_ISREG(of.st_mode)) return NULL;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, buffer, PATH_MAX - 1);
    if (length <= 0) return NULL;
    buffer[length] = 0;
    return buffer;
}

/* The absolute path, so that a rule on a folder holds in every working directory. */
static const char *path_at(int folder, const char *path, char *buffer) {
    if (!active || !path || *path == '/') return path;
    char link[64];
    if (folder == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
    else snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, buffer, PATH_MAX - 1);
    if (length <= 0) return path;
    snprintf(buffer + length, PATH_MAX - length, "/%s", path);
    return buffer;
}

#define FAIL_IF(struck) \
    do { int number = (struck); if (number > 0) { errno = number; return -1; } } while (0)

static size_t half(size_t size) { return size / 2; }

ssize_t write(int fd, const void *bytes, size_t size) {
    REAL(write);
    char buffer[PATH_MAX];
    int struck = strike("write", path_of(fd, buffer));
    FAIL_IF(struck);
    if (struck < 0 && size > 1) {
        ssize_t done = real(fd, bytes, half(size));
        if (!strcmp(action, "tear")) die();
        return done;
    }
    return real(fd, bytes, size);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at) {
    REAL(pwrite64);
    char buffer[PATH_MAX];
    int struck = strike("write", path_of(fd, buffer));
    FAIL_IF(struck);
    if (struck < 0 && size > 1) {
        ssize_t done = real(fd, bytes, half(size), at);
        if (!strcmp(action, "tear")) die();
        return done;
    }
    return real(fd, bytes, size, at);
}
ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) { return pwrite64(fd, bytes, size, at); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(writev);
    char buffer[PATH_MAX];
    int struck = strike("write", path_of(fd, buffer));
    FAIL_IF(struck);
    if (struck < 0 && count > 1) count = 1;
    ssize_t done = real(fd, parts, count);
    if (struck < 0 && !strcmp(action, "tear")) die();
    return done;
}

ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t size, unsigned flags) {
    REAL(copy_file_range);
    char buffer[PATH_MAX];
    FAIL_IF(strike("write", path_of(out, buffer)));
    return real(in, in_at, out, out_at, size, flags);
}

static int writes(int flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)); }

static int open_any(int folder, const char *path, int flags, mode_t mode) {
    char buffer[PATH_MAX];
    if (writes(flags)) FAIL_IF(strike("open", path_at(folder, path, buffer)));
    return syscall(SYS_openat, folder, path, flags | O_LARGEFILE, mode);
}

#define MODE(flags) \
    mode_t mode = 0; \
    if (flags & (O_CREAT | __O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); }

int open(const char *path, int flags, ...) { MODE(flags) return open_any(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return open_any(AT_FDCWD, path, flags, mode); }
int openat(int folder, const char *path, int flags, ...) { MODE(flags) return open_any(folder, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { MODE(flags) return open_any(folder, path, flags, mode); }
int creat(const char *path, mode_t mode) { return open_any(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return open_any(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

int fsync(int fd) {
    REAL(fsync);
    char buffer[PATH_MAX];
    FAIL_IF(strike("sync", path_of(fd, buffer)));
    return real(fd);
}
int fdatasync(int fd) {
    REAL(fdatasync);
    char buffer[PATH_MAX];
    FAIL_IF(strike("sync", path_of(fd, buffer)));
    return real(fd);
}
int ftruncate64(int fd, off64_t size) {
    REAL(ftruncate64);
    char buffer[PATH_MAX];
    FAIL_IF(strike("truncate", path_of(fd, buffer)));
    return real(fd, size);
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int rename(const char *from_path, const char *to) {
    REAL(rename);
    char buffer[PATH_MAX];
    FAIL_IF(strike("rename", path_at(AT_FDCWD, to, buffer)));
    return real(from_path, to);
}
int renameat(int from_folder, const char *from_path, int folder, const char *to) {
    REAL(renameat);
    char buffer[PATH_MAX];
    FAIL_IF(strike("rename", path_at(folder, to, buffer)));
    return real(from_folder, from_path, folder, to);
}
int link(const char *from_path, const char *to) {
    REAL(link);
    char buffer[PATH_MAX];
    FAIL_IF(strike("link", path_at(AT_FDCWD, to, buffer)));
    return real(from_path, to);
}
int linkat(int from_folder, const char *from_path, int folder, const char *to, int flags) {
    REAL(linkat);
    char buffer[PATH_MAX];
    FAIL_IF(strike("link", path_at(folder, to, buffer)));
    return real(from_folder, from_path, folder, to, flags);
}
int symlink(const char *target, const char *path) {
    REAL(symlink);
    char buffer[PATH_MAX];
    FAIL_IF(strike("link", path_at(AT_FDCWD, path, buffer)));
    return real(target, path);
}
int unlink(const char *path) {
    REAL(unlink);
    char buffer[PATH_MAX];
    FAIL_IF(strike("unlink", path_at(AT_FDCWD, path, buffer)));
    return real(path);
}
int unlinkat(int folder, const char *path, int flags) {
    REAL(unlinkat);
    char buffer[PATH_MAX];
    FAIL_IF(strike("unlink", path_at(folder, path, buffer)));
    return real(folder, path, flags);
}
int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    char buffer[PATH_MAX];
    FAIL_IF(strike("mkdir", path_at(AT_FDCWD, path, buffer)));
    return real(path, mode);
}
int flock(int fd, int how) {
    REAL(flock);
    char buffer[PATH_MAX];
    FAIL_IF(strike("lock", path_of(fd, buffer)));
    return real(fd, how);
}

/* Children that get an environment of their own keep the library and its settings. */
static char **with_faults(char *const *given) {
    size_t count = 0, own_count = 0;
    while (given[count]) count++;
    while (environ[own_count]) own_count++;
    char **all = calloc(count + own_count + 1, sizeof *all);
    memcpy(all, given, count * sizeof *all);
    for (char **each = environ; *each; each++) {
        if (strncmp(*each, "FAULTS_", 7) && strncmp(*each, "LD_PRELOAD=", 11)) continue;
        int there = 0;
        for (size_t i = 0; i < count; i++) {
            size_t name = strcspn(*each, "=") + 1;
            there |= !strncmp(all[i], *each, name);
        }
        if (!there) all[count++] = *each;
    }
    return all;
}

int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                 const posix_spawnattr_t *attributes, char *const *arguments, char *const *environment) {
    REAL(posix_spawnp);
    int struck = strike("spawn", file);
    if (struck > 0) return struck;
    if (!getenv("FAULTS_ROLES")) return real(pid, file, actions, attributes, arguments, environment);
    char **all = with_faults(environment ? environment : environ);
    int failed = real(pid, file, actions, attributes, arguments, all);
    free(all);
    return failed;
}

static int64_t moved(clockid_t clock) {
    if (!shift) return 0;
    switch (clock) {
    case CLOCK_REALTIME: case CLOCK_REALTIME_COARSE: return shift[0];
    case CLOCK_MONOTONIC: case CLOCK_MONOTONIC_COARSE: case CLOCK_MONOTONIC_RAW: return shift[1];
    case CLOCK_BOOTTIME: return shift[2];
    default: return 0;
    }
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int failed = syscall(SYS_clock_gettime, clock, time);
    int64_t by = failed ? 0 : moved(clock);
    if (by) {
        int64_t all = time->tv_sec * INT64_C(1000000000) + time->tv_nsec + by;
        time->tv_sec = all / INT64_C(1000000000);
        time->tv_nsec = all % INT64_C(1000000000);
    }
    return failed;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec time;
    if (clock_gettime(CLOCK_REALTIME, &time)) return -1;
    *now = (struct timeval){time.tv_sec, time.tv_nsec / 1000};
    return 0;
}
time_t time(time_t *to) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (to) *to = now.tv_sec;
    return now.tv_sec;
}
