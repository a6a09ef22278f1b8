/* The commands: each gets what follows its name and returns the exit status. */
#ifndef DLC_DLRUN_COMMANDS_H
#define DLC_DLRUN_COMMANDS_H

#define COMMANDS(X)                                                            \
  X(summary, "print the network's layers, output shapes and parameters")       \
  X(init, "write freshly initialised weights")                                 \
  X(train, "train the network on data")                                        \
  X(eval, "print loss and metrics on data")                                    \
  X(predict, "write or print the network's outputs for inputs")                \
  X(grad, "write loss, outputs and every gradient for one batch")              \
  X(check, "check every gradient: compiled, interpreted, central differences") \
  X(bench, "measure training steps and inference")                             \
  X(features, "draw feature maps as PNG")

#define COMMAND_PROTOTYPE(name, does) int command_##name(int argc, char **argv);
COMMANDS(COMMAND_PROTOTYPE)
#undef COMMAND_PROTOTYPE

#endif
