package io.conexor.dispatch;

import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.SourceOffer;

/** A way to a source: one run of one agent, by one of its links. */
record Route(
    Attachment attachment,
    Path path,
    boolean isLocal,
    SourceOffer.State state,
    boolean isReadOnly,
    int limit,
    AgentStats stats) {}
