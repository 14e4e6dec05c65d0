"""A program for test_supervisor.py: a supervisor over the jobs that are given as JSON, and nothing else."""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from config.runtime.supervisor import Job, Supervisor, python


def main() -> int:
    stages = [
        [
            Job(
                name=job["name"],
                command=python("-c", job["code"]),
                is_task=job.get("is_task", False),
                ready_line=job.get("ready_line", "").encode(),
                ready_timeout_s=job.get("ready_timeout_s", 30),
            )
            for job in stage
        ]
        for stage in json.loads(sys.argv[1])
    ]
    supervisor = Supervisor(env=dict(os.environ), cwd=Path.cwd(), out=sys.stdout)
    return supervisor.run(stages, announce=lambda: print("ALL READY", flush=True))


sys.exit(main())
