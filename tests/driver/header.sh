#!/usr/bin/env bash
# Names that a .net file may hold make a header that compiles, though they differ only in case, are words of C, or are
# names that the header itself uses: header.sh SOURCE BUILD
set -euo pipefail
build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat >double.net <<'END'
network double {
    input  x : f32[1];
    input  X : f32[2];
    input  int : u8[3];
    input  session : f32[1];
    input  inputs : i32[2];
    input  class : f32;
    target y : f32[3];
    target Y : f32[3];
    target n : class[3];
    param  gain : f32[3] = ones;
    param  Gain : f32[3] = ones;
    param  NULL : f32[1] = zeros;
    a = concat(x, X) |> linear(3) as fc;
    b = concat(session, inputs + class) |> linear(3) as fc_weight;
    h = a * gain + b * Gain + int + NULL;
    output out = h;
    output OUT = relu(h);
    output x_ELEMENTS = sum(h);
    output MAX_BATCH = sum(a);
    output new = a;
    loss mse(h, y + Y) + cross_entropy(h, n);
    metric mse(h, y);
}
END
"$build/dlc" double.net -o double.o --batch 2

cat >use.c <<'END'
#include "double.h"
#include "double.h" /* twice does no harm */
int use(dlc_session *s, const float *f, const uint8_t *u, const int32_t *i, float *o);
int use(dlc_session *s, const float *f, const uint8_t *u, const int32_t *i, float *o) {
  int elements[] = {DOUBLE_X_ELEMENTS, DOUBLE_X_ELEMENTS_2, DOUBLE_Y_ELEMENTS, DOUBLE_Y_ELEMENTS_2, DOUBLE_OUT_ELEMENTS,
                    DOUBLE_OUT_ELEMENTS_2, DOUBLE_P_GAIN, DOUBLE_P_GAIN_2, DOUBLE_MAX_BATCH};
  return double_infer(s, 1, f, f, u, f, i, f, o, o, o, o, o) +
         double_train_step(s, 1, f, f, u, f, i, f, f, f, i, NULL, NULL) + double_backward(s, o, o, NULL, o) +
         elements[0];
}
int main(int argc, char **argv) { return argc > 1 ? use((dlc_session *)argv[1], NULL, NULL, NULL, NULL) : 0; }
END
sed 's/^int use(dlc.*;$//' use.c >use.cpp
strict='-Wall -Wextra -Wpedantic -Werror'
for standard in c89 c99 c17; do
  cc -std=$standard $strict use.c double.o -lm -lpthread -o use
  ./use
done
c++ -std=c++17 $strict use.cpp double.o -lm -lpthread -o use
./use

# One macro for each name, and the value of each is its own.
[ "$(grep -c '^#define DOUBLE_' double.h)" = "$(grep -o '^#define DOUBLE_[A-Za-z0-9_]*' double.h | sort -u | wc -l)" ]
grep -q '^#define DOUBLE_X_ELEMENTS 1 ' double.h
grep -q '^#define DOUBLE_X_ELEMENTS_2 2 ' double.h
