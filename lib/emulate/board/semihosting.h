/* Semihosting: how a program on an emulated board reaches files and its exit code.
 * Source: "Semihosting for AArch32 and AArch64", Arm; "RISC-V Semihosting", RISC-V International.
 */
#ifndef BF_BOARD_SEMIHOSTING_H
#define BF_BOARD_SEMIHOSTING_H

#include <stdint.h>

enum { SYS_OPEN = 1, SYS_CLOSE = 2, SYS_WRITE0 = 4, SYS_WRITE = 5, SYS_READ = 6, SYS_EXIT = 0x20 };
enum { OPEN_READ = 1, OPEN_WRITE = 5 }; /* fopen's "rb" and "wb" */

static inline uint32_t semihosting(uint32_t operation, const void* argument) {
#ifdef __riscv
  register uint32_t result __asm__("a0") = operation;
  register const void* block __asm__("a1") = argument;
  /* Three full-size instructions that must not straddle a page. */
  __asm__ volatile(
      ".option push\n .option norvc\n .balign 16\n"
      "slli x0, x0, 0x1f\n ebreak\n srai x0, x0, 7\n .option pop"
      : "+r"(result)
      : "r"(block)
      : "memory");
#else
  register uint32_t result __asm__("r0") = operation;
  register const void* block __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xAB" : "+r"(result) : "r"(block) : "memory");
#endif
  return result;
}

/* A handle, or 0xFFFFFFFF. */
static inline uint32_t file_open(const char* name, uint32_t mode) {
  uint32_t length = 0;
  while (name[length] != 0) length++;
  const uint32_t block[3] = {(uint32_t)(uintptr_t)name, mode, length};
  return semihosting(SYS_OPEN, block);
}

/* Both return how many bytes are missing. */
static inline uint32_t file_read(uint32_t file, void* bytes, uint32_t size) {
  const uint32_t block[3] = {file, (uint32_t)(uintptr_t)bytes, size};
  return semihosting(SYS_READ, block);
}

static inline uint32_t file_write(uint32_t file, const void* bytes, uint32_t size) {
  const uint32_t block[3] = {file, (uint32_t)(uintptr_t)bytes, size};
  return semihosting(SYS_WRITE, block);
}

static inline void file_close(uint32_t file) { semihosting(SYS_CLOSE, &file); }

static inline void say(const char* text) { semihosting(SYS_WRITE0, text); }

/* Ends the emulator with this exit code. */
static inline void __attribute__((noreturn)) leave(uint32_t code) {
  const uint32_t block[2] = {0x20026, code}; /* ADP_Stopped_ApplicationExit */
  semihosting(SYS_EXIT, block);
  for (;;) {
  }
}

#endif
