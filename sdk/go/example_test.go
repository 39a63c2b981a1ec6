package holdline_test

import (
	"context"
	"errors"
	"fmt"

	holdline "holdline/sdk/go"
)

// What the examples are about.
var (
	server       = "http://127.0.0.1:8080"
	token        = "hl_…"
	conversation = "4Jx0aQ7bTz1"
)

func ExampleClient_Send() {
	send := func(ctx context.Context) error {
		client, err := holdline.New(server, holdline.Options{Token: token})
		if err != nil {
			return err
		}
		event, err := client.Send(ctx, conversation, "Is the water still running?", holdline.SendOptions{})
		var unconfirmed *holdline.UnconfirmedError
		switch {
		case err == nil:
			fmt.Println("stored as number", event.Seq)
		case errors.As(err, &unconfirmed):
			// ctx ended first. Keep the text and the client_id, and send both again: that makes one message.
			fmt.Println("not certain yet:", unconfirmed.ClientID)
		default:
			fmt.Println("refused:", err)
		}
		return nil
	}
	_ = send
}

func ExampleClient_Follow() {
	follow := func(ctx context.Context, client *holdline.Client) error {
		for update, err := range client.Follow(ctx, holdline.FollowOptions{AckDelivered: true}) {
			if err != nil {
				return err // the session has ended, or ctx has; a lost connection is no error
			}
			switch update.Kind {
			case holdline.KindSnapshot:
				fmt.Println(len(update.Snapshot.Conversations), "conversations")
			case holdline.KindEvent:
				if update.Event.Type == "message" {
					fmt.Println(update.Event.Seq, update.Event.Text)
				}
			case holdline.KindReset:
				fmt.Println("forget what was kept; a snapshot follows")
			}
		}
		return nil
	}
	_ = follow
}
