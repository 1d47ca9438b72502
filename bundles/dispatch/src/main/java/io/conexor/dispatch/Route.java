package io.conexor.dispatch;

import io.conexor.api.agent.AgentLink;
import io.conexor.api.agent.Attachment;
import io.conexor.api.agent.SourceOffer;

/** A way to a source: one run of one agent, by the best link to it. */
record Route(
    Attachment attachment,
    AgentLink link,
    boolean isLocal,
    SourceOffer.State state,
    int limit,
    AgentStats stats) {}
