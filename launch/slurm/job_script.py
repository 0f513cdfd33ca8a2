"""The text of a batch job: commands, and what a pause before the time limit does.

Slurm sends SIGUSR1 to the batch shell, which passes it on. A member then saves its state and ends
with exit code 75, and the job goes back into the queue, where it continues with the same command.
"""

from __future__ import annotations

import shlex
from typing import Mapping, Sequence

from launch.registry import REPOSITORY
from leapkit.core import exit_codes, pauses

# $SLURM_JOB_ID is of an array's task too. 128 + 10: the signal came before Python listened to it.
_HEAD = f"""\
#!/bin/bash
# Written by `make slurm`. It runs again as often as Slurm starts it.
cd -- {{folder}} || exit 2
unset LEAP_PARENT
{{exports}}
running=()
pause() {{{{ [ ${{{{#running[@]}}}} -eq 0 ] || kill -USR1 "${{{{running[@]}}}}" 2>/dev/null; }}}}
trap pause {pauses.SIGNAL.name[3:]}
"""
_TAIL = f"""\

code=0
paused=
for process in "${{running[@]}}"; do
  wait "$process"; status=$?
  while kill -0 "$process" 2>/dev/null; do wait "$process"; status=$?; done  # a signal ends `wait`
  case $status in
    0) ;;
    {exit_codes.PAUSED}|{128 + pauses.SIGNAL}) paused=yes ;;
    *) [ "$code" -ne 0 ] || code=$status ;;
  esac
done
if [ "$paused" ]; then
  echo "paused: the job goes back into the queue and continues from here"
  scontrol requeue "$SLURM_JOB_ID" || echo "that was refused: run make slurm SUBMIT=1 again"
  code={exit_codes.PAUSED}
fi
exit "$code"
"""
# Each command gets its share of the node: what a step does not name, it gets all of.
_SHARES = """\
step=(srun --exact --nodes=1 --ntasks=1 --gres={gres})
step+=("--cpus-per-task=$((SLURM_CPUS_ON_NODE / {count} > 0 ? SLURM_CPUS_ON_NODE / {count} : 1))")
[ -z "${{SLURM_MEM_PER_NODE:-}}" ] || step+=("--mem=$((SLURM_MEM_PER_NODE / {count}))M")
"""


def alone(command: str, variables: Mapping[str, str]) -> str:
    """Return the script of a job that runs one command, as `shell_words` gives it."""
    return _head(variables) + f"\n{command} &\nrunning+=($!)\n" + _TAIL


def side_by_side(commands: Sequence[str], variables: Mapping[str, str], gpus: int) -> str:
    """Return the script of a job whose commands share a node, with so many GPUs each.

    It fails if one of them fails; the others end first.
    """
    gres = f"gpu:{gpus}" if gpus else "none"
    steps = "".join(f'\n"${{step[@]}}" {command} &\nrunning+=($!)\n' for command in commands)
    shares = _SHARES.format(gres=gres, count=len(commands))
    return _head(variables) + shares + steps + _TAIL


def shell_words(argv: Sequence[str], is_array: bool = False) -> str:
    """Return a command line in which no word is anything but itself.

    is_array  whether the groups that it trains are the number of the array's task
    """
    words = [shlex.quote(word) for word in argv]
    return " ".join([*words, '--groups="$SLURM_ARRAY_TASK_ID"'] if is_array else words)


def _head(variables: Mapping[str, str]) -> str:
    exports = "\n".join(
        f"export {name}={shlex.quote(value)}" for name, value in sorted(variables.items())
    )
    return _HEAD.format(folder=shlex.quote(str(REPOSITORY)), exports=exports)
