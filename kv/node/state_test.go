package node

import "testing"

func TestAStateChangesWithItsReasonAtOnce(t *testing.T) {
	var c condition
	c.set(Leaving)
	if was, ok := c.moveBecause(Leaving, Ready, "nobody is there"); !ok || was != Leaving {
		t.Errorf("the move failed in state %s", was)
	}
	if s, why := c.get(); s != Ready || why != "nobody is there" {
		t.Errorf("state %s because %q", s, why)
	}
	if was, ok := c.moveBecause(Leaving, Ready, "other"); ok || was != Ready {
		t.Errorf("a move from another state succeeded: %s", was)
	}
	if was, ok := c.move(Ready, Leaving); !ok || was != Ready {
		t.Errorf("the move failed in state %s", was)
	}
	if s, why := c.get(); s != Leaving || why != "" {
		t.Errorf("state %s because %q", s, why)
	}
}
