// Which kernels this processor and operating system can run.
#pragma once
#include <vector>
#include "kernel.hpp"

namespace blindfit {

/// The fastest first; the portable one is always there.
const std::vector<const Kernel*>& kernels_here();

/// The kernel for a prime of that many bits: `preferred`, or the fastest slower one that can.
const Kernel& kernel_for(unsigned bits, const Kernel& preferred);

}  // namespace blindfit
