// The constant of the trainer after a rebuild.
extern const double momentum_of_this_build;
const double momentum_of_this_build = 0.91;
