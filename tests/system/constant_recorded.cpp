// The constant of the trainer as it was recorded.
extern const double momentum_of_this_build;
const double momentum_of_this_build = 0.9;
