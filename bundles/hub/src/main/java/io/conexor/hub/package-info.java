/** The SignalR-compatible endpoint that owns the live sockets of this backend. */
@NullMarked
package io.conexor.hub;

import org.jspecify.annotations.NullMarked;
