! Predict columns with a TorchScript file of `make export`, from Fortran.
!
!   predict MODEL.pt PCOLS INPUTS OUTPUTS LENGTH
!
! INPUTS and OUTPUTS hold Fortran's arrays (PCOLS, LENGTH) and (PCOLS, 368), float32, raw units.
program predict
  use, intrinsic :: iso_c_binding, only: c_float
  use emulator, only: c_ptr, free_emulator, load_emulator, output_length, predict_columns
  implicit none
  real(c_float), allocatable :: inputs(:, :), outputs(:, :)
  type(c_ptr) :: model
  integer :: unit

  if (command_argument_count() /= 5) error stop 'predict: MODEL.pt PCOLS INPUTS OUTPUTS LENGTH'
  allocate (inputs(number(2), number(5)), outputs(number(2), output_length))
  open (newunit=unit, file=argument(3), access='stream', form='unformatted', status='old')
  read (unit) inputs
  close (unit)

  model = load_emulator(argument(1), on_gpu=.false.)
  call predict_columns(model, inputs, outputs)
  call free_emulator(model)

  open (newunit=unit, file=argument(4), access='stream', form='unformatted', status='replace')
  write (unit) outputs
  close (unit)

contains

  function argument(place) result(text)
    integer, intent(in) :: place
    character(len=:), allocatable :: text
    integer :: length
    call get_command_argument(place, length=length)
    allocate (character(len=length) :: text)
    call get_command_argument(place, text)
  end function

  integer function number(place)
    integer, intent(in) :: place
    character(len=:), allocatable :: text
    text = argument(place)
    read (text, *) number
  end function
end program
