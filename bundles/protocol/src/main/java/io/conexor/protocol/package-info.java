/**
 * What all protocols of this bundle share: a bounded growing byte array and the one exception.
 *
 * <p>Everything here is a pure function of bytes: no I/O, no threads, no clocks. Objects belong to
 * one thread at a time unless they say otherwise.
 */
@Export
@Version("1.0.0")
@NullMarked
package io.conexor.protocol;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
