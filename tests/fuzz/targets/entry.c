/* One target as libFuzzer's: TARGET is its function. */
#include "targets.h"

FuzzTarget LLVMFuzzerTestOneInput;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return TARGET(data, size); }
