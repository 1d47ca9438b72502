package io.conexor.api.backplane;

import io.conexor.api.node.NodeId;

/**
 * One published event.
 *
 * @param key what it is about; events of one key are delivered in publishing order
 * @param from the backend that published it
 * @param payload must not be changed
 */
public record Event(Topic topic, String key, NodeId from, Position position, byte[] payload) {}
