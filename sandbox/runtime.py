"""What the threads of the one server process share: the end of the process, and the alarm clock of the background."""

import threading

stopping = threading.Event()  # set once, when the process is asked to end: nothing may wait longer than that
wake = threading.Event()  # set when there may be something due earlier than the background thread thinks
