// One body, several instruction sets: every kernel source is compiled once per target with MF_TARGET set to the
// target's name, which becomes the namespace of everything in it.
#pragma once

#ifndef MF_TARGET
#error "compile kernel sources with -DMF_TARGET=<target>"
#endif

// Words in a vector. The target `wide`, for tests, is compiled with -DMF_LANES=16 and no instruction set beyond the
// baseline: the compiler splits its vectors, so that the code for 16 lanes runs on every processor.
#if !defined(MF_LANES)
#if defined(__AVX512F__)
#define MF_LANES 16
#elif defined(__AVX2__)
#define MF_LANES 8
#else
#define MF_LANES 4
#endif
#endif
