"""Checks of notebook 00, start here."""

from mlms_helpers.exercises import exercise, number, pair


@exercise("00-lithium")
def lithium(answer):
    return number(
        answer, 28, 0, "In the legend of the 3-D view the number of atoms stands behind each symbol."
    )


@exercise("00-y")
def nitrogen_content(answer):
    def y(answer):
        hint = "y counts the N atoms per formula unit, and each formula unit has one P."
        return number(answer, 5 / 8, 0.006, hint)  # 0.62 and 0.63 are 5/8 in two digits

    def lithium(answer):
        return number(answer, 29, 0.1, "Each formula unit holds 3 + y Li atoms, and there are eight of them.")

    return pair(answer, "y, lithium", y, lithium)
