"""Checks of notebook 00, start here."""

from mlms_helpers.exercises import exercise, number


@exercise("00-lithium")
def lithium(answer):
    return number(
        answer, 28, 0, "In the legend of the 3-D view the number of atoms stands behind each symbol."
    )


@exercise("00-y")
def nitrogen_content(answer):
    y, lithium = answer
    hint = "y counts the N atoms for each formula unit, and each formula unit has one P."
    if wrong := number(y, 5 / 8, 1e-6, hint):
        return wrong
    hint = "Each formula unit holds 3 + y Li atoms, and there are eight of them."
    return number(lithium, 29, 1e-6, hint)
