package io.conexor.http;

import org.eclipse.jetty.io.ByteBufferPool;
import org.eclipse.jetty.io.RetainableByteBuffer;

/**
 * Jetty's pool, with a handle of its own for each time a buffer is lent: who gives back twice gets
 * an exception, instead of giving back what somebody else holds by then.
 */
final class Buffers extends ByteBufferPool.Wrapper {

  Buffers(ByteBufferPool pool) {
    super(pool);
  }

  @Override
  public RetainableByteBuffer.Mutable acquire(int size, boolean isDirect) {
    RetainableByteBuffer.Mutable lent = super.acquire(size, isDirect);
    return RetainableByteBuffer.wrap(lent.getByteBuffer(), lent::release);
  }
}
