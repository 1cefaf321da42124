#include "packed/kernels.h"

#include "base/status.h"

namespace bitfoundry::packed {

Cpu BestCpu() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni") &&
      __builtin_cpu_supports("avx512vpopcntdq")) {
    return Cpu::kAvx512;
  }
  if (__builtin_cpu_supports("avx2")) return Cpu::kAvx2;
#endif
  return Cpu::kPortable;
}

const Kernels& KernelsFor(Cpu cpu) {
  BF_CHECK(cpu <= BestCpu());
#if defined(__x86_64__)
  if (cpu == Cpu::kAvx512) return kAvx512Kernels;
  if (cpu == Cpu::kAvx2) return kAvx2Kernels;
#endif
  return kPortableKernels;
}

}  // namespace bitfoundry::packed
