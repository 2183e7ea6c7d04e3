// Last: everything is there.

begin();
