package storetest

import (
	"testing"

	"dyschord/kv/store"
)

// Open returns a new, empty store, and a function that closes it in good order and
// opens what it left, or fails the test. The function is called any number of times.
type Open func(tb testing.TB) (s store.Store, restart func() store.Store)

// TestStore runs the suite on an engine.
func TestStore(t *testing.T, open Open) {
	tests := []struct {
		name string
		run  func(t *testing.T, open Open)
	}{
		{"an empty store has nothing", testEmpty},
		{"a record comes back as it was given", testRecord},
		{"the caller's slices are the caller's", testSlices},
		{"the log is read by range and in order", testLog},
		{"the index moves forward and prunes", testIndex},
		{"steps of one batch see the steps before", testBatchOrder},
		{"truncate takes the tail", testTruncate},
		{"drop empties a slot and no other", testDrop},
		{"slots do not touch at the edges", testSlotEdges},
		{"keys are visited in order from anywhere", testKeys},
		{"a snapshot stays as it was", testSnapshot},
		{"an iteration stays as it began", testIteration},
		{"a bad batch is refused whole", testInvalid},
		{"a bad batch moves no index", testRefusedIndex},
		{"everything is there after a restart", testRestart},
		{"a closed store says so", testClosed},
		{"writers and readers run at once", testConcurrent},
		{"random batches agree with the model", testModel},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}
