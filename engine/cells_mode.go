package engine

import "fmt"

// CellsMode says whether the peers of a room form cells (docs/protocol.md, "Cells").
type CellsMode uint8

const (
	// CellsAuto learns it from what the room's peers send.
	CellsAuto CellsMode = iota
	// CellsOff takes no part in cells: everybody is linked with everybody.
	CellsOff
	// CellsOn takes it that all peers use cells.
	CellsOn
)

var cellsModes = [...]string{CellsAuto: "auto", CellsOff: "off", CellsOn: "on"}

func (m CellsMode) String() string { return cellsModes[m] }

// ParseCellsMode reads "auto", "off" or "on".
func ParseCellsMode(s string) (CellsMode, error) {
	for m, name := range cellsModes {
		if s == name {
			return CellsMode(m), nil
		}
	}
	return 0, fmt.Errorf("cells %q is none of auto, off and on", s)
}
