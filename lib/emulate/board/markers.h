/* Between these two, count.c counts instructions. The markers cost nothing and link nothing. */
#ifndef BF_BOARD_MARKERS_H
#define BF_BOARD_MARKERS_H

#ifdef __riscv
#define START_COUNTING() __asm__ volatile("slti x0, x0, 1" ::: "memory")
#define STOP_COUNTING() __asm__ volatile("slti x0, x0, 2" ::: "memory")
#else
#define START_COUNTING() __asm__ volatile(".hword 0x46D2" ::: "memory")
#define STOP_COUNTING() __asm__ volatile(".hword 0x46DB" ::: "memory")
#endif

#endif
