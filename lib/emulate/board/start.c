/* From reset to main(), on every board, and the end when the processor faults. */
#include <stdint.h>

#include "semihosting.h"

enum { EXIT_FAULT = 99 };

extern uint32_t stack_top[], zero_start[], zero_end[];
int main(void);
void reset(void);

/* There is no initialised data to copy: link.ld refuses it. */
__attribute__((noreturn, used)) static void start(void) {
  for (volatile uint32_t* word = zero_start; word < zero_end; word++) *word = 0;
  leave((uint32_t)main());
}

#ifdef __riscv

__attribute__((noreturn, used, aligned(4))) static void fault(void) {
  say("the processor faulted\n");
  leave(EXIT_FAULT);
}

__attribute__((naked, noreturn, section(".vectors"))) void reset(void) {
  __asm__ volatile(
      ".option arch, +zicsr\n la sp, stack_top\n la t0, fault\n csrw mtvec, t0\n tail start");
}

#else

#define CPACR (*(volatile uint32_t*)0xE000ED88) /* coprocessor access */
#define CCR (*(volatile uint32_t*)0xE000ED14)   /* configuration and control */

__attribute__((noreturn)) static void fault(void) {
  say("the processor faulted\n");
  leave(EXIT_FAULT);
}

/* Touches no floating-point or vector register before they are switched on. */
__attribute__((noreturn)) void reset(void) {
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
  CPACR |= 0xF00000;
  __asm__ volatile("dsb\n isb" ::: "memory");
#endif
#if __ARM_ARCH == 6
  CCR |= 8; /* UNALIGN_TRP: an ARMv7-M that stands in for an ARMv6-M traps what that would trap */
#endif
  start();
}

__attribute__((section(".vectors"), used)) static const struct {
  uint32_t* stack;
  void (*reset)(void);
  void (*exceptions[14])(void);
} vectors = {stack_top,
             reset,
             {fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault,
              fault, fault}};

#endif
