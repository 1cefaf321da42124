/* A QEMU plugin that counts, exactly, the instructions executed between two markers.
 *
 * The markers are single instructions that no compiler emits. At the end it prints, to QEMU's log,
 * one line for each region and one for all:
 *
 *   region 1234
 *   starts 1 stops 1 total 56789
 *
 * Neither marker is counted in its region. A start inside a region, or a stop outside, is an error
 * of the program and ends it.
 *
 * The prototypes restate QEMU's plugin interface, version 1 (QEMU 4.2 to 8.x;
 * docs/devel/tcg-plugins there), because Debian packages no header for it. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
typedef struct {
  const char* target_name;
  struct {
    int min, cur;
  } version;
  bool system_emulation;
  int smp_vcpus, max_vcpus;
} qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                           void (*translated)(qemu_plugin_id_t,
                                                              struct qemu_plugin_tb*));
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn* insn,
                                            void (*executed)(unsigned, void*), int flags,
                                            void* data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn* insn, int operation,
                                                void* counter, uint64_t addend);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, void (*at_end)(qemu_plugin_id_t, void*),
                                    void* data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb* block);
struct qemu_plugin_insn* qemu_plugin_tb_get_insn(const struct qemu_plugin_tb* block, size_t index);
const void* qemu_plugin_insn_data(const struct qemu_plugin_insn* insn);
void qemu_plugin_outs(const char* text);

EXPORT int qemu_plugin_version = 1;

enum { NO_REGISTERS = 0, ADD_U64 = 0 };
enum { ARM_START = 0x46D2, ARM_STOP = 0x46DB };             /* mov r10, r10; mov r11, r11 */
enum { RISCV_START = 0x00102013, RISCV_STOP = 0x00202013 }; /* slti x0, x0, 1; slti x0, x0, 2 */

static bool riscv, open_region;
static uint64_t total, at_start, starts, stops;

static void out_of_order(const char* what) {
  fprintf(stderr, "counting: %s\n", what);
  exit(98);
}

static void on_start(unsigned cpu, void* data) {
  (void)cpu, (void)data;
  if (open_region) out_of_order("a region starts inside another");
  open_region = true;
  starts++;
  at_start = total;
}

static void on_stop(unsigned cpu, void* data) {
  (void)cpu, (void)data;
  if (!open_region) out_of_order("a region stops that has not started");
  open_region = false;
  stops++;
  char line[64];
  snprintf(line, sizeof line, "region %llu\n", (unsigned long long)(total - at_start - 1));
  qemu_plugin_outs(line);
}

/* The markers by their first halfword or word alone: QEMU 7.2 gives 4 as the size of a 16-bit
 * instruction in the last but one halfword of a page, where its translator has looked ahead. */
static void on_translated(qemu_plugin_id_t id, struct qemu_plugin_tb* block) {
  (void)id;
  for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
    struct qemu_plugin_insn* insn = qemu_plugin_tb_get_insn(block, i);
    uint16_t half[2] = {0, 0};
    memcpy(half, qemu_plugin_insn_data(insn), 2);
    if (riscv && (half[0] & 3) == 3) memcpy(half, qemu_plugin_insn_data(insn), 4);
    const uint32_t code = half[0] | (uint32_t)half[1] << 16;
    if (code == (riscv ? RISCV_START : ARM_START)) {
      qemu_plugin_register_vcpu_insn_exec_cb(insn, on_start, NO_REGISTERS, NULL);
    } else if (code == (riscv ? RISCV_STOP : ARM_STOP)) {
      qemu_plugin_register_vcpu_insn_exec_cb(insn, on_stop, NO_REGISTERS, NULL);
    }
    qemu_plugin_register_vcpu_insn_exec_inline(insn, ADD_U64, &total, 1);
  }
}

static void at_end(qemu_plugin_id_t id, void* data) {
  (void)id, (void)data;
  char line[128];
  snprintf(line, sizeof line, "starts %llu stops %llu total %llu\n", (unsigned long long)starts,
           (unsigned long long)stops, (unsigned long long)total);
  qemu_plugin_outs(line);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int argc,
                               char** argv) {
  (void)argc, (void)argv;
  riscv = strncmp(info->target_name, "riscv", 5) == 0;
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translated);
  qemu_plugin_register_atexit_cb(id, at_end, NULL);
  return 0;
}
