#pragma once
namespace mulfree { struct RowKernels {}; }
