// A C interface to a TorchScript file of `make export`, for Fortran (emulator.f90) and C.
//
// Arrays are Fortran's: inputs(pcols, length) and outputs(pcols, 368), float32, raw units. No
// exception leaves these functions, as Fortran cannot catch one: what went wrong is written to
// stderr, and the result is null or not 0.
#include <torch/script.h>

#include <exception>
#include <iostream>

struct Emulator {
  torch::jit::Module model;
  torch::Device device;
};

template <typename Result, typename Work>
static Result or_say(Result failed, Work work) {
  try {
    return work();
  } catch (const c10::Error& error) {
    std::cerr << "emulator: " << error.what_without_backtrace() << std::endl;
    return failed;
  } catch (const std::exception& error) {
    std::cerr << "emulator: " << error.what() << std::endl;
    return failed;
  }
}

extern "C" {

// Load a file, onto the first GPU if `on_gpu` is not 0; return null if that fails.
Emulator* emulator_load(const char* path, int on_gpu) {
  return or_say<Emulator*>(nullptr, [&] {
    const torch::Device device = on_gpu ? torch::Device("cuda:0") : torch::Device("cpu");
    return new Emulator{torch::jit::load(path, device), device};
  });
}

// Predict pcols columns; return 0, or 1 if that fails.
int emulator_predict(Emulator* emulator, const float* inputs, int pcols, int length,
                     float* outputs, int targets) {
  return or_say<int>(1, [&] {
    c10::InferenceMode without_gradients;
    const auto x = torch::from_blob(const_cast<float*>(inputs), {pcols, length}, {1, pcols});
    const auto y = emulator->model.forward({x.to(emulator->device)}).toTensor();
    torch::from_blob(outputs, {pcols, targets}, {1, pcols}).copy_(y);
    return 0;
  });
}

void emulator_free(Emulator* emulator) { delete emulator; }
}
