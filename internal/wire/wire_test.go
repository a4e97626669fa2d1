package wire_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/wire"
)

// TestAppendPageWritesWhatMarshalDoes compares the fast way with the usual one.
func TestAppendPageWritesWhatMarshalDoes(t *testing.T) {
	entries := []json.RawMessage{json.RawMessage(`{"jti":"a","exp":1}`), json.RawMessage(`{"cred":"b","exp":2}`)}
	for _, page := range []wire.Page[[]json.RawMessage]{
		{Revocations: []json.RawMessage{}},
		{Cursor: "42", Revocations: entries[:1]},
		{Cursor: "42", Snapshot: true, More: true, Revocations: entries},
	} {
		want, err := json.Marshal(page)
		require.NoError(t, err)
		require.Equal(t, "x"+string(want), string(wire.AppendPage([]byte("x"), page)))
	}
}

func TestEvents(t *testing.T) {
	require.Equal(t, "event: revocation\nid: 7\ndata: {\"jti\":\"a\"}\n\n",
		string(wire.AppendEvent(nil, wire.EventRevocation, "7", []byte(`{"jti":"a"}`))))
	require.Equal(t, "event: keys\ndata: {}\n\n", string(wire.AppendEvent(nil, wire.EventKeys, "", wire.NoData)))
	require.Equal(t, ": heartbeat\nevent: heartbeat\nid: 8\ndata: {}\n\n", string(wire.AppendHeartbeat(nil, "8")))
}
