package check

// Description says of a promise what it is, and what to look at if it is broken.
type Description struct {
	Name Promise
	Text string
	Look string
}

// Promises are all of them, in the order of a report.
var Promises = []Description{
	{Durable, "What was answered 2xx is in the log, at the seq and with the content and time of the answer.",
		"the answer in operations.jsonl, the faults around it in run.json; was the answer given before the commit?"},
	{Once, "A send is in the log at most once, and all answers to one client_id name the same seq.",
		"all lines with that client_id in operations.jsonl"},
	{RefusedIsNotStored, "What was certainly refused is not in the log.",
		"the statuses and codes of that client_id in operations.jsonl: a 503 that was none of overloaded or unavailable says too much"},
	{NothingInvented, "The log holds only what somebody asked for.",
		"that seq in log.jsonl, and who could have asked for it in operations.jsonl"},
	{Gapless, "A log counts 1, 2, 3 … and begins with created.",
		"log.jsonl around that seq, and how it was numbered"},
	{TimeNeverFalls, "accepted_at never falls along a log.",
		"log.jsonl around that seq, and moves of the clock in run.json"},
	{Membership, "The list of members, and who is shown a conversation, are as the log says.",
		"the member events in log.jsonl against conversations.jsonl"},
	{SeenWhole, "Along a chain of cursors nothing is left out, up to the end if it was followed to the end.",
		"the steps of that reader in steps.jsonl: the request before the gap, and with which cursor; then what the server did at that time"},
	{SeenOnce, "Nothing comes twice along a chain of cursors.",
		"the steps of that reader in steps.jsonl: was there a request between the two, and what did it cover?"},
	{SeenInOrder, "What comes is in the order of the log.",
		"the steps of that reader in steps.jsonl"},
	{SeenAsStored, "What comes is what the log holds.",
		"the step in steps.jsonl against the same seq in log.jsonl"},
	{SeenByMembers, "Nobody sees what came before their joining or after their removal, and hidden stands for nothing else.",
		"the member events of that user in log.jsonl"},
	{SeenAfterSent, "Nothing is seen before its send began.",
		"the times of the send in operations.jsonl and of the step in steps.jsonl"},
	{NoFalseReset, "A cursor of this epoch is never reset, nor called invalid.",
		"the steps of that reader before its ending; the server may have called a cursor ahead of the log by a stale read"},
	{NoFalseEnd, "A chain of somebody who stayed a member is not ended as if they were none.",
		"the ending in steps.jsonl, and the member events of that user in log.jsonl"},
	{RealTimeOrder, "What was answered before another send began has the lower seq.",
		"both operations in operations.jsonl"},
	{FreshReads, "A read shows all that was answered, or shown to anybody, before it began.",
		"the read in operations.jsonl and its node: did it answer from memory that lagged?"},
	{NoReadsAhead, "A read shows nothing that was begun after its end.",
		"the read and the sends in operations.jsonl"},
	{Linearizable, "Sends and fresh reads of a conversation behave as if one came after the other.",
		"what the other promises say of the same conversation; this one names no single culprit"},
	{ReceiptsForward, "A receipt never goes back along a chain, and read implies delivered.",
		"the receipts of that user in steps.jsonl"},
	{ReceiptsWithinLog, "A receipt is never beyond the log's head.",
		"the acks of that user in operations.jsonl"},
	{ReceiptsAfterFact, "A receipt is never seen before the ack or the cursor handed back that caused it, nor further than that.",
		"the acks of that user in operations.jsonl, and the requests of their readers in steps.jsonl"},
	{ReceiptsWhole, "A chain followed to its end has the final receipts, and an ack that was answered is not forgotten.",
		"the receipts at the end of conversations.jsonl against the last ones of that reader in steps.jsonl"},
	{Unread, "unread counts others' messages above the read watermark.",
		"the state in operations.jsonl, and the messages in log.jsonl"},
	{WellRecorded, "The history does not contradict itself. This is no promise of the server: the run itself went wrong.",
		"a defect in holdline torture"},
}
