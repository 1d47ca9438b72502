package io.conexor.api.backplane;

/**
 * A place in the events of one partition of a topic.
 *
 * @param epoch names one life of the partition. When its stream was lost and began anew the epoch
 *     differs, so that offsets of the old life, which look valid, can't be mistaken for a
 *     successful continuation.
 * @param partition from 0
 * @param offset grows by one per event within an epoch, from 1; 0 = before the first
 */
public record Position(String epoch, int partition, long offset) {}
