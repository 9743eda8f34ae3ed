"""What root of a node tries to write into the image set: none of it may be in another node."""

ATTACKS = """
device=$(mountpoint -d /seed)
mkdir /view
for place in /seed $layer /proc/1/root/seed; do
    mount -o remount,bind,rw $place
    mount -o remount,rw $place
    mount -o remount,rw,bind,suid,dev $place
    mount --bind $place /view && mount -o remount,bind,rw /view
    mount --rbind $place /view && mount -o remount,rw /view
    unshare -m sh -c "mount --make-rprivate /; mount -o remount,bind,rw $place; echo x > $place/x"
    unshare -rm sh -c "mount -o remount,bind,rw $place; echo x > $place/x"
    nsenter -t 1 -m mount -o remount,bind,rw $place
    chown 0:0 $place; chmod 777 $place; mv $place $place.old
    echo x > $place/x; echo x > /view/x; mkdir $place/y; rm -rf $place/overlay2 $place/note
    echo other > $place/note; echo other >> $layer/note; truncate -s 0 $layer/note
    cp -al $place/. $place/copy; setfattr -n user.x -v x $place
    umount /view; umount /view
done
for device in $device $(cat /sys/block/loop*/dev 2> /dev/null); do
    mknod /block b $(echo $device | tr : ' ') && echo x > /block
    mknod /dev/block-$device b $(echo $device | tr : ' ') && mount -o rw /dev/block-$device /view
done
mknod /dev/loop-control c 10 237 && losetup -f /etc/hostname
mount -t devtmpfs none /view && mount /view/loop0 /view
umount $layer && echo other > $layer/note
mount -o remount,bind,rw /seed; umount -l /seed; echo x > /seed/x
true
"""
"""A shell script that expects $layer, the folder of a layer that has a file `note`."""
