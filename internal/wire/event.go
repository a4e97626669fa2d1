package wire

import "slices"

// EventStream is the media type of server-sent events (WHATWG HTML §9.2).
const EventStream = "text/event-stream"

// HeaderLastEventID holds the cursor from which a stream goes on.
const HeaderLastEventID = "Last-Event-ID"

// The events of the stream. Subscribers ignore those that they do not know.
const (
	EventSnapshot   = "snapshot"   // data: a [Page]; the last part of a snapshot has an id
	EventRevocation = "revocation" // data: one revocation
	EventKeys       = "keys"       // the key set has changed
	EventConfirm    = "confirm"    // somebody waits: send a receipt at once
	EventReset      = "reset"      // the id is the beginning: read everything anew
	EventHeartbeat  = "heartbeat"  // everything up to the id has been sent
)

// NoData is the data of an event that has none. Standard clients drop an event
// without data, and its id with it (WHATWG HTML §9.2.6).
var NoData = []byte("{}")

// AppendEvent appends an event. Without an id, which is a cursor, the
// subscriber's cursor stays where it is. data must be one line.
func AppendEvent(b []byte, name, id string, data []byte) []byte {
	b = slices.Grow(b, len(name)+len(id)+len(data)+len("event: \nid: \ndata: \n\n"))
	b = append(append(b, "event: "...), name...)
	if id != "" {
		b = append(append(b, "\nid: "...), id...)
	}
	return append(append(append(b, "\ndata: "...), data...), "\n\n"...)
}

// AppendHeartbeat appends a sign of life that moves the cursor. Its first line,
// a comment, is what subscribers of earlier releases know it by.
func AppendHeartbeat(b []byte, id string) []byte {
	return AppendEvent(append(b, ": "+EventHeartbeat+"\n"...), EventHeartbeat, id, NoData)
}
