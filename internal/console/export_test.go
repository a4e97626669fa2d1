package console

import "time"

// SetExportPace changes how fast an export is read, until restore. No server
// may run meanwhile.
func SetExportPace(pace time.Duration) (restore func()) {
	before := exportPace
	exportPace = pace
	return func() { exportPace = before }
}
