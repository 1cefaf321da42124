/* Runs every image of `images.bin` through its network, whole and layer by layer, and writes to
 * `results.bin`, in words:
 *
 *   the bytes of the runtime in flash, and of the model
 *   for each network
 *     for each image   the logits of bf_run; the CRC-32 of each layer's output, as the layers run
 *                      one by one; the logits that these gave
 *     the deepest stack of bf_run, in bytes
 *
 * Counted regions, for each image: bf_run, then each layer. */
#include "harness.h"

#include "markers.h"
#include "semihosting.h"

enum { EXIT_FILES = 90, EXIT_OUT_OF_BOUNDS, EXIT_STACK_FULL };
enum { PAINT = 0xC5, GUARD_BYTES = 64 };

extern uint32_t stack_limit[], stack_top[];
extern uint8_t runtime_start[], runtime_end[], model_start[], model_end[];

static uint8_t image[MOST_IMAGE_BYTES];
static uint8_t memory[MOST_ARENA_BYTES + 2 * GUARD_BYTES] __attribute__((aligned(16)));
static int32_t logits[MOST_CLASSES + 2];
static uint8_t* const arena = memory + GUARD_BYTES;

/* Volatile, lest the compiler makes a call of memset() of it: there is no libc here. */
static void paint(void* from, void* to) {
  for (volatile uint8_t* byte = from; byte < (uint8_t*)to; byte++) *byte = PAINT;
}

static void must_be_painted(const void* from, const void* to) {
  for (const uint8_t* byte = from; byte < (const uint8_t*)to; byte++) {
    if (*byte != PAINT) {
      say("the runtime wrote outside its arena or its logits\n");
      leave(EXIT_OUT_OF_BOUNDS);
    }
  }
}

/* Nothing may depend on what was in memory before, nor change what lies around it. */
static void paint_memory(void) {
  paint(memory, memory + sizeof memory);
  paint(logits, logits + MOST_CLASSES + 2);
}

static void check_bounds(const struct network* n) {
  must_be_painted(memory, arena);
  must_be_painted(arena + n->model->arena_bytes, memory + sizeof memory);
  must_be_painted(logits + n->model->classes, logits + MOST_CLASSES + 2);
}

/* Never inlined, so that the code around the markers is the same whatever surrounds it. */
__attribute__((noinline)) static void count_run(const struct network* n) {
  START_COUNTING();
  bf_run(n->model, image, (uint32_t*)(void*)arena, logits);
  STOP_COUNTING();
}

__attribute__((noinline)) static void count_step(const struct network* n, uint32_t layer) {
  START_COUNTING();
  bf_step(n->model, layer, image, (uint32_t*)(void*)arena, logits);
  STOP_COUNTING();
}

/* The bytes of stack that bf_run takes, and count_run's return address. Without shrink-
 * wrapping, every push of this function comes before it reads the stack pointer. */
__attribute__((noinline, optimize("no-shrink-wrap"))) static uint32_t run_on_painted_stack(
    const struct network* n) {
  uint8_t* top;
#ifdef __riscv
  __asm__ volatile("mv %0, sp" : "=r"(top));
#else
  __asm__ volatile("mov %0, sp" : "=r"(top));
#endif
  paint(stack_limit, top);
  count_run(n);
  const uint8_t* deepest = (const uint8_t*)stack_limit;
  while (deepest < top && *deepest == PAINT) deepest++;
  if (deepest == (const uint8_t*)stack_limit) {
    say("the stack is full\n");
    leave(EXIT_STACK_FULL);
  }
  return (uint32_t)(top - deepest);
}

static uint32_t crc32(const uint8_t* bytes, uint32_t count) {
  static const uint32_t nibbles[16] = {0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC,
                                       0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
                                       0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C,
                                       0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C};
  uint32_t crc = 0xFFFFFFFF;
  for (uint32_t i = 0; i < count; i++) {
    crc = crc >> 4 ^ nibbles[(crc ^ bytes[i]) & 15];
    crc = crc >> 4 ^ nibbles[(crc ^ bytes[i] >> 4) & 15];
  }
  return ~crc;
}

static void put(uint32_t file, const void* words, uint32_t count) {
  if (file_write(file, words, 4 * count) != 0) leave(EXIT_FILES);
}

static uint32_t run_image(const struct network* n, uint32_t results) {
  paint_memory();
  const uint32_t stack = run_on_painted_stack(n);
  check_bounds(n);
  put(results, logits, n->model->classes);

  paint_memory();
  for (uint32_t layer = 0; layer < n->model->layer_count; layer++) {
    const struct output* output = &n->outputs[layer];
    count_step(n, layer);
    const int last = layer + 1 == n->model->layer_count;
    const void* at = last ? (const void*)logits : arena + output->offset;
    const uint32_t crc = crc32(at, output->bytes);
    put(results, &crc, 1);
  }
  check_bounds(n);
  put(results, logits, n->model->classes);
  return stack;
}

int main(void) {
  const uint32_t images = file_open("images.bin", OPEN_READ);
  const uint32_t results = file_open("results.bin", OPEN_WRITE);
  const uint32_t flash[2] = {(uint32_t)(runtime_end - runtime_start),
                             (uint32_t)(model_end - model_start)};
  put(results, flash, 2);
  for (const struct network* n = networks; n < networks + network_count; n++) {
    uint32_t deepest = 0;
    for (uint32_t i = 0; i < n->images; i++) {
      if (file_read(images, image, n->image_bytes) != 0) leave(EXIT_FILES);
      const uint32_t stack = run_image(n, results);
      if (stack > deepest) deepest = stack;
    }
    put(results, &deepest, 1);
  }
  file_close(results);
  return 0;
}
