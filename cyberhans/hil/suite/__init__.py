"""The suite: what every device has to do, on a process, an emulator or the board on the desk.

pytest --pyargs cyberhans.hil.suite --device board:native --detector FOLDER
"""
