// Predict columns with a TorchScript file of `make export`: LibTorch and nothing of this kit.
//
//   predict MODEL.pt COLUMNS INPUTS OUTPUTS LENGTH rows|columns
//
// INPUTS   float32, raw: COLUMNS x LENGTH numbers (LENGTH is 557 or 556)
// OUTPUTS  float32, raw: COLUMNS x 368 numbers
// rows     both files hold a column's numbers one after the other, as C and pytorch-fortran do
// columns  both hold a number of all columns one after the other, as Fortran's (pcols, LENGTH) does
#include <torch/script.h>

#include <fstream>
#include <iostream>
#include <vector>

static int refused(const std::string& why) {
  std::cerr << "predict: " << why << std::endl;
  return 1;
}

int main(int argc, char** argv) try {
  if (argc != 7) return refused("MODEL.pt COLUMNS INPUTS OUTPUTS LENGTH rows|columns");
  const int64_t columns = std::stoll(argv[2]), length = std::stoll(argv[5]);
  const bool by_rows = std::string(argv[6]) == "rows";
  std::vector<float> inputs(columns * length);
  const std::streamsize bytes = inputs.size() * sizeof(float);
  if (!std::ifstream(argv[3], std::ios::binary).read((char*)inputs.data(), bytes))
    return refused("INPUTS holds fewer numbers than COLUMNS x LENGTH");

  c10::InferenceMode without_gradients;
  auto model = torch::jit::load(argv[1], torch::kCPU);
  const std::vector<int64_t> strides = {by_rows ? length : 1, by_rows ? 1 : columns};
  auto x = torch::from_blob(inputs.data(), {columns, length}, strides, torch::kFloat32);
  auto y = model.forward({x}).toTensor();  // (columns, 368)
  y = (by_rows ? y : y.t()).contiguous();

  std::ofstream outputs(argv[4], std::ios::binary);
  outputs.write((const char*)y.data_ptr<float>(), y.numel() * sizeof(float));
  return outputs.flush() ? 0 : refused("OUTPUTS cannot be written");
} catch (const c10::Error& error) {
  return refused(error.what_without_backtrace());
} catch (const std::exception& error) {
  return refused(error.what());
}
