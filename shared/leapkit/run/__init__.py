"""Training, fine-tuning and inference of any experiment, and a member's command line.

To use one published network without any of this, from the repository's root:

    from leapkit.data import checkpoints
    from leapkit.data.scaling import load_scaling
    from members.max2020.experiments import NETWORK_007
    from members.max2020.networks import build

    network = build(NETWORK_007).eval()
    checkpoints.load_into(network, checkpoints.read_tensors(path), path)
    scaling = load_scaling(statistics, "fdzm", old_weights)
    z = network(torch.from_numpy(scaling.scaled_inputs(x)))  # x (n, 556) float64, raw, Kaggle order
    y = scaling.raw(z.detach().numpy(), q)  # (n, 368) raw; q (n, 16) is state_q0002_12..27
"""
