! The C interface of emulator.cpp for Fortran 2003 and later.
module emulator
  use, intrinsic :: iso_c_binding, only: c_associated, c_char, c_float, c_int, c_null_char, c_ptr
  implicit none
  private
  public :: load_emulator, predict_columns, free_emulator, c_ptr

  integer, parameter, public :: output_length = 368

  interface
    function emulator_load(path, on_gpu) bind(c)
      import :: c_char, c_int, c_ptr
      character(kind=c_char), intent(in) :: path(*)
      integer(c_int), value :: on_gpu
      type(c_ptr) :: emulator_load
    end function

    function emulator_predict(handle, inputs, pcols, length, outputs, targets) bind(c)
      import :: c_float, c_int, c_ptr
      type(c_ptr), value :: handle
      integer(c_int), value :: pcols, length, targets
      real(c_float), intent(in) :: inputs(pcols, length)
      real(c_float), intent(out) :: outputs(pcols, targets)
      integer(c_int) :: emulator_predict
    end function

    subroutine free_emulator(handle) bind(c, name='emulator_free')
      import :: c_ptr
      type(c_ptr), value :: handle
    end subroutine
  end interface

contains

  !> Load a TorchScript file, onto the first GPU if on_gpu; stop if it cannot be loaded.
  function load_emulator(path, on_gpu) result(handle)
    character(len=*), intent(in) :: path
    logical, intent(in) :: on_gpu
    type(c_ptr) :: handle
    handle = emulator_load(trim(path)//c_null_char, merge(1_c_int, 0_c_int, on_gpu))
    if (.not. c_associated(handle)) error stop 'emulator: the file cannot be loaded'
  end function

  !> Predict all columns of a chunk from raw inputs (pcols, 557 or 556); rows that a chunk does not
  !> use are zeros and give finite numbers. Stop if that fails.
  subroutine predict_columns(handle, inputs, outputs)
    type(c_ptr), intent(in) :: handle
    real(c_float), contiguous, intent(in) :: inputs(:, :)
    real(c_float), contiguous, intent(out) :: outputs(:, :)  ! (pcols, output_length)
    integer(c_int) :: pcols, length, targets
    pcols = size(inputs, 1)
    length = size(inputs, 2)
    targets = size(outputs, 2)
    if (size(outputs, 1) /= pcols) error stop 'emulator: inputs and outputs differ in columns'
    if (emulator_predict(handle, inputs, pcols, length, outputs, targets) /= 0) &
      error stop 'emulator: the prediction failed'
  end subroutine
end module
