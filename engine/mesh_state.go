package engine

// ChannelMesh is the channel of what an application sends to the mesh itself rather
// than to a channel (mesh.send in GenosRTC). Seats send and receive on it as on any
// other; remote peers can take it only where the room has cells, and in JSON.
const ChannelMesh = internalPrefix + "mesh"

// MeshState is the place of a peer in the cells of its room, of which there is a new
// one after each seal (docs/protocol.md, "Cells"). What it holds must not be changed.
type MeshState struct {
	Epoch   uint64 // counts the seals of this process; 0: the room has no cells
	Peer    string // the hosted peer whose place it is
	Cell    int
	Bridge  bool
	Bridges []string // the other ends of its edges, if it is a bridge: "cell-3"
	Size    int      // peers that a cell is to have
	Cells   int
	Known   int // cells that are not empty
	Peers   int // in the sealed roster
	TTL     int
	// Mixed means that some peers of the room use cells and some do not.
	Mixed bool
}

// MeshPeer is the place of a peer of the sealed roster.
type MeshPeer struct {
	ID      string
	Cell    int
	Bridge  bool
	Bridges []string
}

// MeshChange tells a seat of its new place after a seal, or that its room has or has
// no longer cells.
type MeshChange struct{ State MeshState }

func (MeshChange) cost() int { return eventCost }
