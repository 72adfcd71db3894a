package engine

import (
	"cmp"
	"fmt"
	"slices"
)

// CellsMode says whether a room's peers link by cells (docs/protocol.md, "Cells").
type CellsMode uint8

const (
	// CellsAuto does as the remote peers of the room do.
	CellsAuto CellsMode = iota
	CellsOff
	CellsOn
)

var cellsModes = []string{CellsAuto: "auto", CellsOff: "off", CellsOn: "on"}

// String is what ParseCellsMode reads.
func (m CellsMode) String() string { return cellsModes[m] }

// ParseCellsMode reads auto, off or on. Empty means auto.
func ParseCellsMode(s string) (CellsMode, error) {
	if i := slices.Index(cellsModes, cmp.Or(s, "auto")); i >= 0 {
		return CellsMode(i), nil
	}
	return 0, fmt.Errorf("cells %q is none of auto, off and on", s)
}

// SetCells changes RoomConfig.Cells and RoomConfig.CellSize from now on.
//
// TODO(mesh): the room's part of the mesh is to have the body.
func (r *Room) SetCells(mode CellsMode, size int) {}
