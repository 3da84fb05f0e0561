/* A plugin of QEMU's emulation: counts the instructions that each virtual CPU executes, in user
 * and in kernel mode. When a program executes the magic no-operation of mark.s it appends one line
 * to the file `out`: "mark NUMBER USER0 KERNEL0 USER1 KERNEL1 ...". With profile=on it also writes
 * `out`.NUMBER: "ADDRESS INSTRUCTIONS RUNS" for each block that the first `servers` CPUs ran, which
 * are the server's. Preloaded as well, it can slow the guest's clock down.
 *
 * Declared here as in qemu-plugin.h, which distributions do not ship with QEMU. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define CPUS 8

typedef uint64_t qemu_plugin_id_t;
typedef struct {
    const char *target_name;
    struct { int min, cur; } version;
    int system_emulation;
    struct { int smp_vcpus, max_vcpus; } system;
} qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*translated)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*executed)(unsigned, void *);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, translated);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, executed, int, void *);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, executed, int, void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *, void *, size_t);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);

/* The interface of QEMU 9.0, which later ones still take. */
EXPORT int qemu_plugin_version = 3;

struct counters { uint64_t user, kernel; char line[112]; };
struct block { uint64_t address, runs[CPUS]; size_t size; struct block *next; };

/* Without the last byte: 0x0c marks, 0x0d sets the clock. */
static const unsigned char MAGIC[7] = {0x0f, 0x1f, 0x84, 0x00, 0xc0, 0xde, 0xc0};
static struct counters counters[CPUS];
static struct block *blocks;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER, clock_lock = PTHREAD_MUTEX_INITIALIZER;
static FILE *out;
static char path[4096];
static int cpus, marks, profile, servers = 1, slow = 1, drag;

static void ran(unsigned cpu, void *data) {
    if (cpu < CPUS) ((struct block *)data)->runs[cpu]++;
}

/* The guest's clock. QEMU is preloaded with this library, so it calls this function. */
static struct { int64_t guest, host, factor; } clock_state = {0, 0, 1};

static int64_t host_time(void) {
    struct timespec t;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

EXPORT int clock_gettime(clockid_t id, struct timespec *t) {
    if (id != CLOCK_MONOTONIC) return syscall(SYS_clock_gettime, id, t);
    pthread_mutex_lock(&clock_lock);
    int64_t now = clock_state.guest + (host_time() - clock_state.host) / clock_state.factor;
    pthread_mutex_unlock(&clock_lock);
    t->tv_sec = now / 1000000000, t->tv_nsec = now % 1000000000;
    return 0;
}

/* Slows the guest's clock down, or lets it run at its normal speed. */
static void set_clock(unsigned cpu, void *data) {
    (void)cpu, (void)data;
    pthread_mutex_lock(&clock_lock);
    int64_t host = host_time();
    clock_state.guest += (host - clock_state.host) / clock_state.factor;
    clock_state.host = host;
    clock_state.factor = clock_state.factor == 1 ? slow : 1;
    pthread_mutex_unlock(&clock_lock);
}

/* Slows the server's CPUs down, so that the server is the limit and not the load. */
static void hold_back(unsigned cpu) {
    if ((int)cpu < servers)
        for (int i = 0; i < drag; i++) __asm__ volatile("" ::: "memory");
}

static void in_user_mode(unsigned cpu, void *size) {
    counters[cpu].user += (size_t)size;
    hold_back(cpu);
}

static void in_kernel_mode(unsigned cpu, void *size) {
    counters[cpu].kernel += (size_t)size;
    hold_back(cpu);
}

static void write_blocks(void) {
    char name[sizeof path + 16];
    snprintf(name, sizeof name, "%s.%d", path, marks);
    FILE *file = fopen(name, "w");
    if (!file) { perror(name); exit(1); }
    pthread_mutex_lock(&lock);
    for (struct block *b = blocks; b; b = b->next) {
        uint64_t runs = 0;
        for (int cpu = 0; cpu < servers; cpu++) runs += b->runs[cpu];
        if (runs) fprintf(file, "%" PRIx64 " %zu %" PRIu64 "\n", b->address, b->size, runs);
    }
    pthread_mutex_unlock(&lock);
    fclose(file);
}

static void mark(unsigned cpu, void *data) {
    (void)cpu, (void)data;
    fprintf(out, "mark %d", ++marks);
    for (int i = 0; i < cpus; i++)
        fprintf(out, " %" PRIu64 " %" PRIu64, counters[i].user,
                counters[i].kernel);
    fputc('\n', out);
    fflush(out);
    if (profile) write_blocks();
}

/* Whether this is a repeated string instruction. */
static int repeats(const struct qemu_plugin_insn *insn) {
    unsigned char bytes[16];
    size_t i = 0, size = qemu_plugin_insn_data(insn, bytes, sizeof bytes);
    int prefix = 0;
    for (; i < size; i++) {
        if (bytes[i] == 0xf2 || bytes[i] == 0xf3) prefix = 1;
        else if ((bytes[i] & 0xf0) != 0x40 && bytes[i] != 0x66 && bytes[i] != 0x67) break;
    }
    return prefix && i + 1 == size &&
           (bytes[i] - 0xa4u < 4 || (bytes[i] >= 0xaa && bytes[i] <= 0xaf));
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    size_t size = qemu_plugin_tb_n_insns(tb);
    uint64_t address = qemu_plugin_tb_vaddr(tb);
    int in_kernel = address >> 63;
    /* One iteration; the instruction was counted by the block in which it came. */
    if (repeats(qemu_plugin_tb_get_insn(tb, 0))) return;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, in_kernel ? in_kernel_mode : in_user_mode, 0,
                                         (void *)size);
    if (profile) {
        struct block *b = calloc(1, sizeof *b);
        if (!b) exit(1);
        b->address = address, b->size = size;
        pthread_mutex_lock(&lock);
        b->next = blocks, blocks = b;
        pthread_mutex_unlock(&lock);
        qemu_plugin_register_vcpu_tb_exec_cb(tb, ran, 0, b);
    }
    if (in_kernel) return;
    for (size_t i = 0; i < size; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        unsigned char bytes[8];
        if (qemu_plugin_insn_size(insn) != sizeof bytes ||
            qemu_plugin_insn_data(insn, bytes, sizeof bytes) != sizeof bytes ||
            memcmp(bytes, MAGIC, sizeof MAGIC))
            continue;
        if (bytes[7] == 0x0c) qemu_plugin_register_vcpu_insn_exec_cb(insn, mark, 0, NULL);
        if (bytes[7] == 0x0d) qemu_plugin_register_vcpu_insn_exec_cb(insn, set_clock, 0, NULL);
    }
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
                               char **argv) {
    for (int i = 0; i < argc; i++) {
        if (!strncmp(argv[i], "out=", 4)) snprintf(path, sizeof path, "%s", argv[i] + 4);
        if (!strcmp(argv[i], "profile=on")) profile = 1;
        if (!strncmp(argv[i], "drag=", 5)) drag = atoi(argv[i] + 5);
        if (!strncmp(argv[i], "slow=", 5)) slow = atoi(argv[i] + 5);
        if (!strncmp(argv[i], "servers=", 8)) servers = atoi(argv[i] + 8);
    }
    cpus = info->system.smp_vcpus;
    if (cpus > CPUS || servers > cpus || slow < 1) {
        fprintf(stderr, "count: wrong numbers\n");
        return 1;
    }
    out = fopen(path, "w");
    if (!out) { perror(path); return 1; }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    return 0;
}
