"""A potential as an ASE calculator, which lists neighbours anew only when atoms have moved far enough."""

from typing import ClassVar

from ase.calculators.calculator import Calculator as AseCalculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from mlms_helpers.descriptors._checks import validated

from .inputs import NEAREST, pairs


class Calculator(AseCalculator):
    """Energy, forces and stress by a `Potential`.

    potential: of any number of members; their mean is told.
    skin: A; neighbours are listed up to the cutoff plus the skin, and again when an atom has moved by half of
        it, the cell or the atoms have changed.
    """

    implemented_properties: ClassVar = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, potential, skin=0.5):
        super().__init__()
        self.potential, self.skin = potential, skin
        self.listed, self.lists = None, 0  # what the list was made of; how many were made

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        atoms = self.atoms
        validated([atoms])
        self.potential.check_species([atoms])
        if self.listed is None or self._moved(atoms):
            i, j, r = pairs(atoms, self.potential.cutoff + self.skin)
            self.listed = atoms.copy()
            self.pairs = i, j, r - atoms.positions[j] + atoms.positions[i]  # the last: lattice vectors
            self.lists += 1
        i, j, shift = self.pairs
        r = atoms.positions[j] - atoms.positions[i] + shift
        square = (r * r).sum(1)
        if len(square) and square.min() < NEAREST**2:
            a = square.argmin()
            raise ValueError(
                f"atoms {i[a]} and {j[a]} are {square[a] ** 0.5:.2g} A apart: the run has gone astray"
            )
        near = square < self.potential.cutoff**2
        energy, forces, virial = self.potential.evaluate(atoms, (i[near], j[near], r[near]))
        self.results = {"energy": float(energy[0]), "free_energy": float(energy[0]), "forces": forces[0]}
        if atoms.pbc.all():
            self.results["stress"] = full_3x3_to_voigt_6_stress(virial[0] / atoms.get_volume())

    def _moved(self, atoms):
        old = self.listed
        if len(old) != len(atoms) or (old.numbers != atoms.numbers).any() or (old.pbc != atoms.pbc).any():
            return True
        if (old.cell.array != atoms.cell.array).any():
            return True
        return ((atoms.positions - old.positions) ** 2).sum(1).max() > (self.skin / 2) ** 2
